"""Two transcripts of one session, word by word: what is the same, changed, added, lost, said by someone else.

Aligned by rapidfuzz's Levenshtein (40,000 words in a tenth of a second; difflib does not come to an end in
minutes). Case, punctuation and typography do not count as a change of a word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from sessionscribe.errors import UserError
from sessionscribe.evaluation.said import Said, SaidWord
from sessionscribe.text import normalised

Kind = Literal["same", "speaker", "changed"]
MOVED_S = 0.5  # from this shift on a word counts as moved


@dataclass(frozen=True)
class Piece:
    """Neighbouring words. ``same`` and ``speaker``: both sides have the same words; ``changed``: they differ,
    and a side may have none. With ``speaker`` it is another person who says them.
    """

    kind: Kind
    before: tuple[SaidWord, ...]
    after: tuple[SaidWord, ...]


@dataclass(frozen=True)
class Summary:
    """Numbers of words; shifts in seconds (later is positive) of words that both have."""

    before: int
    after: int
    same: int
    rewritten: int
    """Of the same words: other case, punctuation or typography."""
    changed: int
    added: int
    lost: int
    other_speaker: int
    """Of the same words: said by another speaker, names of speakers matched as well as possible."""
    speakers_before: int
    speakers_after: int
    shift_median_s: float | None
    shift_p95_s: float | None
    shift_max_s: float | None
    moved: int

    @property
    def wer(self) -> float:
        """The word error rate of the second against the first."""
        return (self.changed + self.added + self.lost) / max(1, self.before)


@dataclass(frozen=True)
class Diff:
    """The difference; ``names`` gives the first's speaker for each of the second."""

    session: str
    language: str
    pieces: tuple[Piece, ...]
    names: dict[str, str]
    summary: Summary


def same_session(before: Mapping[str, Said], after: Mapping[str, Said]) -> tuple[Said, Said]:
    """Return the transcripts of the one session that both sides have.

    Raises:
        UserError: there is none, or several.
    """
    if len(before) == len(after) == 1:
        return next(iter(before.values())), next(iter(after.values()))
    common = sorted(set(before) & set(after))
    if len(common) == 1:
        return before[common[0]], after[common[0]]
    what = f"both have {len(common)} sessions" if common else "have no session in common"
    where = f"A ({', '.join(before)}) and B ({', '.join(after)})"
    raise UserError(what, where=where, hint="Name one session's file or folder on either side")


def diff(before: Said, after: Said) -> Diff:
    """Compare two transcripts of a session.

    Raises:
        UserError: a side has no words (an RTTM).
    """
    for side in (before, after):
        if side.utterances is None:
            raise UserError("has no words to compare", where=side.session, hint="Give a transcript")
    from rapidfuzz.distance import Levenshtein  # noqa: PLC0415

    old, new = before.words, after.words
    number: dict[str, int] = {}
    keys = [[number.setdefault(normalised(word.text), len(number)) for word in words] for words in (old, new)]
    codes = [
        (c.tag, slice(c.src_start, c.src_end), slice(c.dest_start, c.dest_end))
        for c in Levenshtein.opcodes(*keys)
    ]
    same = [(old[i], new[j]) for tag, a, b in codes if tag == "equal" for i, j in _indexes(a, b)]
    names = _names(same)
    told = before.has_speakers and after.has_speakers
    pieces: list[Piece] = []
    for equal, group in groupby(codes, key=lambda code: code[0] == "equal"):
        for _, a, b in group:
            if equal:
                pieces += _by_speaker(old[a], new[b], names) if told else [Piece("same", old[a], new[b])]
            elif pieces and pieces[-1].kind == "changed":
                last = pieces.pop()
                pieces.append(Piece("changed", last.before + old[a], last.after + new[b]))
            else:
                pieces.append(Piece("changed", old[a], new[b]))
    return Diff(
        before.session,
        after.language or before.language or "",
        tuple(pieces),
        names,
        _summary(old, new, codes, same, pieces),
    )


def _indexes(a: slice, b: slice) -> Iterator[tuple[int, int]]:
    return zip(range(a.start, a.stop), range(b.start, b.stop), strict=True)


def _names(same: Sequence[tuple[SaidWord, SaidWord]]) -> dict[str, str]:
    """Return the first side's speaker for each of the second, so that most words keep theirs."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415

    shared = Counter((a.speaker, b.speaker) for a, b in same if a.speaker and b.speaker)
    rows, columns = (sorted({pair[side] or "" for pair in shared}) for side in (0, 1))
    counts = np.array([[shared[row, column] for column in columns] for row in rows]).reshape(
        len(rows), len(columns)
    )
    chosen = zip(*linear_sum_assignment(counts, maximize=True), strict=True)
    return {columns[j]: rows[i] for i, j in chosen if counts[i, j]}


def _by_speaker(
    old: Sequence[SaidWord], new: Sequence[SaidWord], names: Mapping[str, str]
) -> Iterator[Piece]:
    def kind(pair: tuple[SaidWord, SaidWord]) -> Kind:
        a, b = pair
        return "same" if a.speaker == (names.get(b.speaker, b.speaker) if b.speaker else None) else "speaker"

    for which, group in groupby(zip(old, new, strict=True), key=kind):
        both = list(group)
        yield Piece(which, tuple(a for a, _ in both), tuple(b for _, b in both))


def _summary(
    old: Sequence[SaidWord],
    new: Sequence[SaidWord],
    codes: Sequence[tuple[str, slice, slice]],
    same: Sequence[tuple[SaidWord, SaidWord]],
    pieces: Sequence[Piece],
) -> Summary:
    count = Counter[str]()
    for tag, a, b in codes:
        count[tag] += max(a.stop - a.start, b.stop - b.start)
    shifts = np.array(
        [b.start - a.start for a, b in same if a.start is not None and b.start is not None], np.float64
    )
    some = len(shifts) > 0
    return Summary(
        before=len(old),
        after=len(new),
        same=len(same),
        rewritten=sum(a.text != b.text for a, b in same),
        changed=count["replace"],
        added=count["insert"],
        lost=count["delete"],
        other_speaker=sum(len(piece.before) for piece in pieces if piece.kind == "speaker"),
        speakers_before=len({word.speaker for word in old} - {None}),
        speakers_after=len({word.speaker for word in new} - {None}),
        shift_median_s=float(np.median(shifts)) if some else None,
        shift_p95_s=float(np.quantile(np.abs(shifts), 0.95)) if some else None,
        shift_max_s=float(np.abs(shifts).max()) if some else None,
        moved=int((np.abs(shifts) >= MOVED_S).sum()),
    )
