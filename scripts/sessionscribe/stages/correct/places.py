"""Where in a transcript the lines of a corrections file belong.

Every line is looked up by itself in the transcript as the machine made it, so that their order does not
matter. A line whose words are not there any more has no place; nothing is guessed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from sessionscribe.core.tokens import alike, atoms
from sessionscribe.core.units import exact_clock
from sessionscribe.stages.correct.locate import Words
from sessionscribe.stages.correct.table import Edit

BETWEEN = " … "  # in `was` of a long stretch: what is left out
State = Literal["applied", "fulfilled", "open"]


@dataclass(frozen=True)
class Placed:
    """An edit and the half-open ranges of words that it changes, by their number in the transcript."""

    edit: Edit
    state: State
    ranges: tuple[tuple[int, int], ...] = ()
    reason: str | None = None


def place(words: Words, edits: Sequence[Edit]) -> list[Placed]:
    """Return where each edit of words and speakers belongs, in the order given; ``name`` is not looked up.

    Edits that want different things of the same words all have no place, but for narrower stretches of
    speakers within wider ones, and for single places against ``everywhere``.
    """
    found = [_placed(words, edit) for edit in edits]
    found = _without_conflicts(found)
    single = [placed for placed in found if placed.edit.edit == "words" and not is_general(placed.edit)]
    taken = [range_ for placed in single for range_ in placed.ranges]
    general: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, placed in enumerate(found):
        if is_general(placed.edit):
            general[tuple(alike(atom) for atom in atoms(placed.edit.was))].append(number)
    for was in sorted(general, key=lambda was: (-len(was), was)):  # what is said of more words goes first
        numbers = sorted(general[was], key=lambda n: (found[n].edit.line, n))
        for number, placed in zip(
            numbers, _of_same(words, [found[n].edit for n in numbers], taken), strict=True
        ):
            found[number] = placed
            taken += placed.ranges
    return found


def _of_same(words: Words, edits: Sequence[Edit], taken: Sequence[tuple[int, int]]) -> list[Placed]:
    """Return where edits belong that say of the same words what they are everywhere."""
    if len({edit.now for edit in edits}) > 1:
        return [
            Placed(edit, "open", reason=f"contradicts line {min(o.line for o in edits if o.now != edit.now)}")
            for edit in edits
        ]
    first = _everywhere(words, edits[0], taken)
    again: State = "fulfilled" if first.state == "applied" else first.state
    return [first, *(Placed(edit, again, reason=first.reason) for edit in edits[1:])]


def is_general(edit: Edit) -> bool:
    """Return whether an edit holds everywhere."""
    return edit.edit == "words" and edit.start is None


def _placed(words: Words, edit: Edit) -> Placed:
    if edit.edit == "words":
        return Placed(edit, "open") if is_general(edit) else _place_words(words, edit)
    if edit.edit == "speaker":
        return _place_speaker(words, edit)
    return Placed(edit, "open")


def _place_words(words: Words, edit: Edit) -> Placed:
    was, now, before, after = (
        [alike(atom) for atom in atoms(text)] for text in (edit.was, edit.now, edit.before, edit.after)
    )
    there = words.find(was, before, after, edit.start)
    done = None if was == now else words.find(now, before, after, edit.start)
    if there and (done is None or (there.misses, there.distance) <= (done.misses, done.distance)):
        ranges = ((there.start, there.stop),)
        if was == now and words.text(there.start, there.stop) == atoms(edit.now):
            return Placed(edit, "fulfilled", ranges)
        return Placed(edit, "applied", ranges)
    if done:
        return Placed(edit, "fulfilled", ((done.start, done.stop),))
    what = f"`{edit.was}` is" if edit.was else "the words around it are"
    return Placed(edit, "open", reason=f"{what} no longer at {exact_clock(edit.start)}")


def _place_speaker(words: Words, edit: Edit) -> Placed:
    before, after = ([alike(atom) for atom in atoms(text)] for text in (edit.before, edit.after))
    head, _, tail = edit.was.partition(BETWEEN)
    first = [alike(atom) for atom in atoms(head)]
    found: list[int] = []
    if first:
        start = words.find(first, before, [] if tail else after, edit.start)
        stop = start
        if start and tail:
            last = [alike(atom) for atom in atoms(tail)]
            stop = words.find(last, [], after, edit.end, ends=True)
        if start and stop and start.start < stop.stop:
            found = list(range(start.start, stop.stop))
    if not found and edit.start is not None and edit.end is not None:
        found = words.between(edit.start, edit.end, edit.speaker)
    if not found:
        return Placed(edit, "open", reason=f"nobody speaks at {exact_clock(edit.start)} any more")
    return Placed(edit, "applied", tuple(_ranges(found)))


def _ranges(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield ascending numbers as half-open ranges."""
    breaks = [0, *(i for i, (a, b) in enumerate(pairwise(numbers), 1) if b != a + 1), len(numbers)]
    for first, last in pairwise(breaks):
        yield numbers[first], numbers[last - 1] + 1


def _everywhere(words: Words, edit: Edit, taken: Sequence[tuple[int, int]]) -> Placed:
    was, now = ([alike(atom) for atom in atoms(text)] for text in (edit.was, edit.now))
    free = [
        (start, stop)
        for start, stop in words.all_of(was)
        if words.text(start, stop) != atoms(edit.now) and not any(a < stop and start < b for a, b in taken)
    ]
    if free:
        return Placed(edit, "applied", tuple(free))
    if (now and any(True for _ in words.all_of(now))) or any(True for _ in words.all_of(was)):
        return Placed(edit, "fulfilled")
    return Placed(edit, "open", reason=f"`{edit.was}` is nowhere in the transcript")


def _without_conflicts(found: list[Placed]) -> list[Placed]:
    """Take their places from edits that contradict one another; of equal ones, the first keeps it."""
    result = list(found)
    for kind in ("words", "speaker"):
        active = [
            (range_, number)
            for number, placed in enumerate(found)
            if placed.edit.edit == kind and placed.state == "applied"
            for range_ in placed.ranges
        ]
        active.sort()
        for position, ((start, stop), number) in enumerate(active):
            for (other_start, other_stop), other in active[position + 1 :]:
                if other_start > stop:
                    break
                mine, others = found[number], found[other]
                if number == other or not _clash(mine, (start, stop), others, (other_start, other_stop)):
                    continue
                if (start, stop) == (other_start, other_stop) and mine.edit.now == others.edit.now:
                    later = max(number, other, key=lambda n: (found[n].edit.line, n))
                    result[later] = replace(found[later], state="fulfilled", ranges=())
                    continue
                for one, against in ((number, others), (other, mine)):
                    reason = f"contradicts {against.edit.called}"
                    result[one] = Placed(found[one].edit, "open", reason=reason)
    return result


def _clash(one: Placed, mine: tuple[int, int], two: Placed, others: tuple[int, int]) -> bool:
    """Return whether two edits of a kind want the same words; ``mine`` begins first, or ends first."""
    if mine[0] == mine[1] or others[0] == others[1]:  # added words: they have an order only by time
        if mine == others:
            return one.edit.start == two.edit.start
        return mine[0] < others[0] < mine[1]
    if others[0] >= mine[1]:
        return False
    if one.edit.edit == "speaker":
        within = (mine[0] <= others[0] and others[1] <= mine[1]) or (
            others[0] <= mine[0] and mine[1] <= others[1]
        )
        return one.edit.now != two.edit.now and (mine == others or not within)
    return True
