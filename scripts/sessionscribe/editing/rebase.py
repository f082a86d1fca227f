"""Apply the changes in a copy of an older export to the present transcript: a three-way merge."""

from __future__ import annotations

from collections.abc import Sequence

from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.core.tokens import alike, atoms, shown
from sessionscribe.editing.context_windows import AROUND, joined
from sessionscribe.editing.edited import EditToken
from sessionscribe.evaluation.diff import aligned
from sessionscribe.stages.correct.table import Edit


def rebased(
    base: Sequence[EditToken], copy: Sequence[EditToken], transcript: Transcript
) -> tuple[list[EditToken], list[Edit]]:
    """Return the copy as if made from the present transcript, and the changes that have no place in it.

    Changed words must have the same words, and the same neighbours, in the present transcript.

    Args:
        base: tokens of the old export.
        copy: tokens of its edited copy.
        transcript: the present transcript.
    """
    own = [
        (EditToken(text, word.speaker, number), word.start)
        for number, segment in enumerate(transcript.segments)
        for word in segment.words
        for text in atoms(word.text)
    ]
    now = [atom for atom, _ in own]
    there = _pairs(base, now)
    result: list[list[EditToken]] = [[atom] for atom in now]
    before: list[EditToken] = []  # what is added at the very beginning
    lost: list[Edit] = []
    for equal, a, b in aligned([shown(x.text) for x in base], [shown(x.text) for x in copy])[0]:
        if equal:
            for i, j in zip(a, b, strict=True):
                place = there.get(i)
                if place is not None and copy[j].speaker != base[i].speaker:
                    result[place] = [EditToken(now[place].text, copy[j].speaker, now[place].line)]
            continue
        first = there.get(a.start - 1, -1 if a.start == 0 else None)
        last = there.get(a.stop, len(now) if a.stop == len(base) else None)
        same = first is not None and last is not None and last - first - 1 == len(a)
        if not same or any(there.get(i) != first + 1 + n for n, i in enumerate(a)):  # type: ignore[operator]
            times = [own[there[i]][1] for i in range(max(0, a.start - 1), a.stop + 1) if i in there]
            lost.append(_lost(base, copy, a, b, times[0] if times else 0.0))
            continue
        line = now[first].line if first is not None and first >= 0 else 0
        new = [EditToken(copy[j].text, copy[j].speaker, line) for j in b]
        for place in range(first + 1, last):  # type: ignore[operator, arg-type]
            result[place] = []
        (before if first == -1 else result[first]).extend(new)  # type: ignore[index]
    return [*before, *(atom for group in result for atom in group)], lost


def _pairs(base: Sequence[EditToken], now: Sequence[EditToken]) -> dict[int, int]:
    """Return the numbers of tokens of the transcript by those of the same tokens of the export."""
    codes, _ = aligned([alike(shown(x.text)) for x in base], [alike(shown(x.text)) for x in now])
    return {i: j for equal, a, b in codes if equal for i, j in zip(a, b, strict=True)}


def _lost(base: Sequence[EditToken], copy: Sequence[EditToken], a: range, b: range, time_s: float) -> Edit:
    return Edit(
        "words",
        time_s,
        time_s,
        was=joined([base[i].text for i in a]),
        now=joined([copy[j].text for j in b]),
        before=joined([x.text for x in base[max(0, a.start - AROUND) : a.start]]),
        after=joined([x.text for x in base[a.stop : a.stop + AROUND]]),
    )
