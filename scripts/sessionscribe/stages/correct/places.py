"""Find the words that the rows of a corrections file change.

Every row is looked up by itself in the uncorrected transcript, so the order of rows does not matter. A row
whose words are no longer there has no place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sessionscribe.core.errors import visible
from sessionscribe.core.intervals import united
from sessionscribe.core.tokens import atoms
from sessionscribe.core.units import exact_clock
from sessionscribe.stages.correct.locate import Words, tokens
from sessionscribe.stages.correct.table import Edit

BETWEEN = " … "
"""Stands for the middle of a long passage in ``was``."""
State = Literal["applied", "fulfilled", "open"]


@dataclass(frozen=True)
class Placed:
    """An edit and the ranges of words, ``[start, stop)``, that it changes."""

    edit: Edit
    state: State
    ranges: tuple[tuple[int, int], ...] = ()
    reason: str | None = None


def place(words: Words, edits: Sequence[Edit]) -> list[Placed]:
    """Return the places of edits, in the order given; edits of kind ``name`` stay open.

    Contradictory edits are all open, with these exceptions: a passage within a longer one goes to its own
    speaker, an edit with a time overrides one that applies everywhere, and longer phrases override shorter
    ones.
    """
    found = _without_conflicts([_placed(words, edit) for edit in edits])
    taken = [range_ for placed in found if placed.edit.edit == "words" for range_ in placed.ranges]
    general = {n: tokens(edit.was) for n, edit in enumerate(edits) if is_general(edit)}
    for n in sorted(general, key=lambda n: (-len(general[n]), general[n], edits[n].line, n)):
        rivals = [edits[m] for m in general if general[m] == general[n] and edits[m].now != edits[n].now]
        if rivals:
            found[n] = contradicted(edits[n], rivals)
        else:
            found[n] = _place_everywhere(words, edits[n], taken)
            taken += found[n].ranges
    return found


def is_general(edit: Edit) -> bool:
    """Return whether an edit replaces words wherever they occur."""
    return edit.edit == "words" and edit.start is None


def contradicted(edit: Edit, rivals: Sequence[Edit]) -> Placed:
    """Return an edit as open because of others."""
    rival = min(rivals, key=lambda rival: rival.line)
    return Placed(edit, "open", reason=f"contradicts {rival.called}")


def _placed(words: Words, edit: Edit) -> Placed:
    if edit.edit == "speaker":
        return _place_speaker(words, edit)
    if edit.edit == "name" or is_general(edit):
        return Placed(edit, "open")
    return _place_words(words, edit)


def _place_words(words: Words, edit: Edit) -> Placed:
    was, now, before, after = map(tokens, (edit.was, edit.now, edit.before, edit.after))
    old = words.find(was, before, after, edit.start)
    new = None if was == now else words.find(now, before, after, edit.start)
    blind = not (now or before or after)  # any gap looks as if the words had been deleted
    if old and (new is None or blind or (old.misses, old.distance_s) <= (new.misses, new.distance_s)):
        same = was == now and words.text(old.start, old.stop) == atoms(edit.now)
        return Placed(edit, "fulfilled" if same else "applied", ((old.start, old.stop),))
    if new:
        return Placed(edit, "fulfilled", ((new.start, new.stop),))
    what = f"`{visible(edit.was)}` is" if edit.was else "the words around it are"
    return Placed(edit, "open", reason=f"{what} no longer at {exact_clock(edit.start)}")


def _place_speaker(words: Words, edit: Edit) -> Placed:
    head, _, tail = edit.was.partition(BETWEEN)
    before, after = tokens(edit.before), tokens(edit.after)
    start = words.find(tokens(head), before, [] if tail else after, edit.start) if tokens(head) else None
    stop = words.find(tokens(tail), [], after, edit.end, ends=True) if start and tail else start
    ranges: Sequence[tuple[int, int]] = ()
    if start and stop and start.start < stop.stop:
        ranges = [(start.start, stop.stop)]
    elif edit.start is not None and edit.end is not None:
        ranges = united((n, n + 1) for n in words.between(edit.start, edit.end, edit.speaker))
    if not ranges:
        return Placed(edit, "open", reason=f"nobody speaks at {exact_clock(edit.start)} any more")
    return Placed(edit, "applied", tuple(ranges))


def _place_everywhere(words: Words, edit: Edit, taken: Sequence[tuple[int, int]]) -> Placed:
    was, now = tokens(edit.was), tokens(edit.now)
    free = tuple(
        (start, stop)
        for start, stop in words.all_of(was)
        if words.text(start, stop) != atoms(edit.now) and not any(a < stop and start < b for a, b in taken)
    )
    if free:
        return Placed(edit, "applied", free)
    if any(next(words.all_of(pattern), None) for pattern in (was, now) if pattern):
        return Placed(edit, "fulfilled")
    return Placed(edit, "open", reason=f"`{visible(edit.was)}` is nowhere in the transcript")


def _without_conflicts(found: Sequence[Placed]) -> list[Placed]:
    """Return contradictory edits as open, and edits that repeat another one as fulfilled."""
    result = list(found)
    active = sorted(
        (placed.edit.edit, range_, number)
        for number, placed in enumerate(found)
        if placed.state == "applied"
        for range_ in placed.ranges
    )
    for position, (kind, one, number) in enumerate(active):
        for other_kind, two, other in active[position + 1 :]:
            if other_kind != kind or two[0] > one[1]:
                break
            mine, others = found[number].edit, found[other].edit
            if number == other or not _clash(mine, one, others, two):
                continue
            if one == two and mine.now == others.now:
                later = max(number, other, key=lambda n: (found[n].edit.line, n))
                result[later] = replace(found[later], state="fulfilled", ranges=())
            else:
                result[number], result[other] = contradicted(mine, [others]), contradicted(others, [mine])
    return result


def _clash(mine: Edit, one: tuple[int, int], others: Edit, two: tuple[int, int]) -> bool:
    """Return whether two edits of a kind want the same words; range ``one`` sorts before ``two``."""
    if one == two and one[0] == one[1]:  # additions in one gap are in the order of their times
        return mine.start == others.start
    if not (one[0] < two[1] and two[0] < one[1]):
        return False
    nested = one != two and (one[0] == two[0] or two[1] <= one[1])
    return mine.edit == "words" or (mine.now != others.now and not nested)
