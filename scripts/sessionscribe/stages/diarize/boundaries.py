"""Move changes of speakers to pauses and punctuation.

Turns come from frames of some hundredths of a second and know nothing of words, so the edge of a turn often
falls into the first or last word of what somebody says. People take turns at the ends of sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, takewhile

from sessionscribe.artifacts.merged import MergedWord
from sessionscribe.core.text import CLAUSE_END, ends_sentence, ends_with
from sessionscribe.core.units import milliseconds

PAUSE_MS = 150
"""Shortest silence between two words that is a pause."""
NOTHING, PAUSE, CLAUSE, SENTENCE = range(4)
"""Evidence for a change of speakers between two words, from weak to strong."""
REACH_MS = {PAUSE: 500, CLAUSE: 500, SENTENCE: 1000}
"""How far a change of speakers may be moved to a place with such evidence."""

Speakers = list[str | None]


def snapped(words: Sequence[MergedWord], found: Sequence[str | None]) -> Speakers:
    """Return the speakers of words after moving changes of speakers to places with evidence.

    A single word between words of another speaker becomes theirs if there is no pause beside it and no
    punctuation before it. A change within a sentence moves to an end of a sentence within 1 s, or else to
    punctuation within 0.5 s, or else to a pause.
    """
    return _moved(words, _without_single_words(words, found))


def _evidence(words: Sequence[MergedWord], index: int) -> int:
    """Return the evidence for a change of speakers before a word."""
    before, word = words[index - 1], words[index]
    if ends_sentence(before.text):
        return SENTENCE
    if ends_with(before.text, CLAUSE_END):
        return CLAUSE
    return PAUSE if _pause(before, word) >= PAUSE_MS else NOTHING


def _pause(before: MergedWord, word: MergedWord) -> int:
    return milliseconds(word.start) - milliseconds(before.end)


def _without_single_words(words: Sequence[MergedWord], found: Sequence[str | None]) -> Speakers:
    result = list(found)
    for index in range(1, len(words) - 1):
        others = result[index - 1]
        alone = None not in (result[index], others) and result[index] != others == result[index + 1]
        pause_after = _pause(words[index], words[index + 1]) >= PAUSE_MS
        if alone and not pause_after and _evidence(words, index) == NOTHING:
            result[index] = others
    return result


def _moved(words: Sequence[MergedWord], found: Sequence[str | None]) -> Speakers:
    result = list(found)
    index = 1
    while index < len(words):
        before, after = result[index - 1], result[index]
        if before != after and None not in (before, after):
            place = min(_places(words, result, index), default=(0, 0.0, index))[2]
            result[place:index] = [after] * (index - place)
            result[index:place] = [before] * (place - index)
            index = max(index, place)
        index += 1
    return result


def _places(words: Sequence[MergedWord], speakers: Speakers, change: int) -> Iterator[tuple[int, float, int]]:
    """Yield places with better evidence for a change; the smallest has the best, then is the nearest.

    They lie between the previous and the next change, so that no speaker loses all words.
    """
    here = _evidence(words, change)
    middle = (milliseconds(words[change - 1].end) + milliseconds(words[change].start)) / 2
    earlier = takewhile(lambda i: speakers[i - 1] == speakers[change - 1], range(change - 1, 0, -1))
    later = takewhile(lambda i: speakers[i] == speakers[change], range(change + 1, len(words)))
    for index in chain(earlier, later):
        edge = words[index].start if index < change else words[index - 1].end
        away, evidence = abs(milliseconds(edge) - middle), _evidence(words, index)
        if evidence > here and away <= REACH_MS[evidence]:
            yield -evidence, away, index
