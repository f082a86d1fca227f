"""Where one speaker's words end and another's begin: at a pause or at punctuation, where there is one near.

Turns come from frames of some hundredths of a second and know nothing of words; the edge of one often falls
within the first or the last word of what somebody says. People take turns at the ends of sentences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, takewhile

from sessionscribe.artifacts.merged import MergedWord
from sessionscribe.core.text import CLAUSE_END, ends_sentence, ends_with
from sessionscribe.core.units import milliseconds

PAUSE_MS = 150
"""Silence between two words from which it counts as a pause."""
NOTHING, PAUSE, CLAUSE, SENTENCE = range(4)
"""What speaks for a change of speakers between two words."""
REACH_MS = {PAUSE: 500, CLAUSE: 500, SENTENCE: 1000}
"""A change of speakers is moved by this much at most, to a place with such evidence."""

Speakers = list[str | None]


def with_evidence(words: Sequence[MergedWord], found: Sequence[str | None]) -> Speakers:
    """Return the speakers of words with changes of speakers where something speaks for them.

    A single word between words of another speaker is theirs where there is neither a pause on either side of
    it nor punctuation before it. A change inside a sentence moves to the nearest end of one within a second.
    Where there is none, a change in running speech moves to punctuation within 0.5 s, or else to a pause.

    Args:
        words: the words, in order of time.
        found: the speaker of each word, by the turns.
    """
    return _moved(words, _without_single_words(words, found))


def _evidence(words: Sequence[MergedWord], index: int) -> int:
    """Return what speaks for a change of speakers before a word."""
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
        lone = None not in (result[index], others) and result[index] != others == result[index + 1]
        after_it = _pause(words[index], words[index + 1]) >= PAUSE_MS
        if lone and not after_it and _evidence(words, index) == NOTHING:
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
    """Yield where a change could move for better evidence: the best and then the nearest has the least value.

    It stays between the change before it and the one after it, so that no turn of words is lost.
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
