"""Who speaks when, after words were given to other speakers."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

from sessionscribe.artifacts.speakers import Turn
from sessionscribe.artifacts.transcript import SpokenWord
from sessionscribe.core import intervals
from sessionscribe.core.units import milliseconds

PAUSE_MS = 1000  # over a shorter one, words that lie in no turn are one turn


def retold(turns: Sequence[Turn], words: Sequence[SpokenWord], speakers: Sequence[str | None]) -> list[Turn]:
    """Return the turns as they are when ``words`` (by who said them so far) are those of ``speakers``.

    A turn goes to others where its words do, from halfway between two words on; a word outside the turns of
    its speaker is a turn of its own. Only turns of speakers who lose or gain words change.
    """
    changed = [(word.speaker, new) for word, new in zip(words, speakers, strict=True) if word.speaker != new]
    if not changed:
        return list(turns)
    moved = {old for old, _ in changed}
    own: dict[str | None, list[tuple[int, int]]] = defaultdict(list)
    for number, word in enumerate(words):
        if word.speaker in moved:
            twice_the_middle = milliseconds(word.start) + milliseconds(word.end)
            own[word.speaker].append((twice_the_middle, number))
    for places in own.values():
        places.sort()
    result: list[Turn] = []
    within: set[int] = set()
    for turn in turns:
        places = own.get(turn.speaker, [])
        first, last = (bisect_left(places, (2 * milliseconds(time), -1)) for time in (turn.start, turn.end))
        numbers = [number for _, number in places[first:last]]
        within.update(numbers)
        if any(words[n].speaker != speakers[n] for n in numbers):
            result += _divided(turn, [(words[n], speakers[n]) for n in numbers])
        else:
            result.append(turn)
    result += _alone(words, speakers, within)
    return united(result, {speaker for pair in changed for speaker in pair})


def _alone(
    words: Sequence[SpokenWord], speakers: Sequence[str | None], within: Collection[int]
) -> Iterator[Turn]:
    """Yield turns for words that were given to somebody and lie in no turn of who said them before."""
    found: dict[str, list[Turn]] = defaultdict(list)
    for number, (word, new) in enumerate(zip(words, speakers, strict=True)):
        if word.speaker == new or new is None or number in within or word.end <= word.start:
            continue
        own, start = found[new], word.start
        if own and 0 <= milliseconds(word.start) - milliseconds(own[-1].end) < PAUSE_MS:
            start = own.pop().start
        own.append(Turn(start=start, end=word.end, speaker=new))
    for own in found.values():
        yield from own


def _divided(turn: Turn, words: Sequence[tuple[SpokenWord, str | None]]) -> Iterator[Turn]:
    """Yield a turn in parts, by who says the words that lie in it."""
    begin = turn.start
    for (word, speaker), (following, other) in zip(words, [*words[1:], (None, None)], strict=True):
        if following is not None and other == speaker:
            continue
        end = turn.end
        if following is not None:
            end = min(max(round((word.end + following.start) / 2, 3), begin), turn.end)
        if end > begin:
            yield Turn(start=begin, end=end, speaker=speaker or turn.speaker)
        begin = end


def united(turns: Iterable[Turn], speakers: Iterable[str | None]) -> list[Turn]:
    """Return turns in order of time; those of ``speakers`` that touch or overlap one another as one."""
    spans: dict[str, list[intervals.Interval]] = {speaker: [] for speaker in speakers if speaker}
    result: list[Turn] = []
    for turn in turns:
        if turn.speaker in spans:
            spans[turn.speaker].append((milliseconds(turn.start), milliseconds(turn.end)))
        else:
            result.append(turn)
    for speaker, own in spans.items():
        result += [Turn(start=a / 1000, end=b / 1000, speaker=speaker) for a, b in intervals.united(own)]
    return sorted(result, key=lambda turn: (turn.start, turn.end, turn.speaker))
