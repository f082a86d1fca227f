"""Adapt speaker turns to words that were given to other speakers."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from operator import itemgetter

from sessionscribe.artifacts.speakers import Turn
from sessionscribe.artifacts.transcript import SpokenWord
from sessionscribe.core import intervals
from sessionscribe.core.units import milliseconds

PAUSE_MS = 1000
"""Reassigned words outside all turns form one turn over shorter pauses."""

Reassigned = tuple[SpokenWord, str | None]
"""A word and its new speaker."""


def reassign(
    turns: Sequence[Turn], words: Sequence[SpokenWord], speakers: Sequence[str | None]
) -> list[Turn]:
    """Return the turns after ``words`` were given to ``speakers``.

    A turn is divided halfway between two words whose speakers differ now. A reassigned word outside the
    turns of its old speaker is a turn of its own. Turns of other speakers do not change.
    """
    changed = [(word.speaker, new) for word, new in zip(words, speakers, strict=True) if word.speaker != new]
    if not changed:
        return list(turns)
    losers = {old for old, _ in changed}
    own: dict[str | None, list[tuple[int, int]]] = defaultdict(list)
    for number, word in enumerate(words):
        if word.speaker in losers:
            own[word.speaker].append((milliseconds(word.start) + milliseconds(word.end), number))
    for middles in own.values():
        middles.sort()
    result: list[Turn] = []
    within: set[int] = set()
    for turn in turns:
        middles = own.get(turn.speaker, [])
        first, last = (bisect_left(middles, (2 * milliseconds(time), -1)) for time in (turn.start, turn.end))
        numbers = [number for _, number in middles[first:last]]
        within.update(numbers)
        result += _divided(turn, [(words[n], speakers[n]) for n in numbers])
    outside = [(words[n], speakers[n]) for n in range(len(words)) if n not in within]
    return merged([*result, *_own_turns(outside)], {speaker for pair in changed for speaker in pair})


def merged(turns: Iterable[Turn], speakers: Iterable[str | None]) -> list[Turn]:
    """Return turns in the order of time; touching or overlapping ones of any of ``speakers`` become one."""
    spans: dict[str, list[intervals.Interval]] = {speaker: [] for speaker in speakers if speaker}
    result: list[Turn] = []
    for turn in turns:
        if turn.speaker in spans:
            spans[turn.speaker].append((milliseconds(turn.start), milliseconds(turn.end)))
        else:
            result.append(turn)
    for speaker, own in spans.items():
        result += [_turn(start, end, speaker) for start, end in intervals.united(own)]
    return sorted(result, key=lambda turn: (turn.start, turn.end, turn.speaker))


def _divided(turn: Turn, words: Sequence[Reassigned]) -> Iterator[Turn]:
    """Yield the parts of a turn, given the words in it."""
    runs = [(speaker, list(run)) for speaker, run in groupby(words, key=itemgetter(1))] or [(None, [])]
    begin = turn.start
    for (speaker, run), (_, following) in pairwise([*runs, (None, [])]):
        end = turn.end
        if following:
            end = min(max(round((run[-1][0].end + following[0][0].start) / 2, 3), begin), turn.end)
        if end > begin:
            yield turn.model_copy(update={"start": begin, "end": end, "speaker": speaker or turn.speaker})
        begin = end


def _own_turns(words: Iterable[Reassigned]) -> Iterator[Turn]:
    """Yield turns of words that are in no turn of their old speaker and have a new one."""
    spans: dict[str, list[intervals.Interval]] = defaultdict(list)
    for word, speaker in words:
        if speaker and speaker != word.speaker and word.end > word.start:
            spans[speaker].append((milliseconds(word.start), milliseconds(word.end) + PAUSE_MS - 1))
    for speaker, own in spans.items():
        for start, end in intervals.united(own):
            yield _turn(start, end - PAUSE_MS + 1, speaker)


def _turn(start_ms: int, end_ms: int, speaker: str) -> Turn:
    return Turn(start=start_ms / 1000, end=end_ms / 1000, speaker=speaker)
