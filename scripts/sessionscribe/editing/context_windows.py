"""Rows of the corrections file, with enough surrounding words to locate them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from sessionscribe.core.text import written_without_spaces
from sessionscribe.stages.correct.locate import WINDOW_S, Words
from sessionscribe.stages.correct.places import BETWEEN, place
from sessionscribe.stages.correct.table import Edit

AROUND = 3  # words on either side; more only if these are ambiguous
LONG, SHOWN = 12, 5  # of a speaker's passage longer than 12 words, 5 words of either end are stored


def joined(texts: Sequence[str]) -> str:
    """Join tokens to a text that has exactly these tokens."""
    pieces = list(texts[:1])
    for left, right in pairwise(texts):
        apart = not (written_without_spaces(left[-1]) or written_without_spaces(right[0]))
        pieces.append(f" {right}" if apart else right)
    return "".join(pieces)


def of_words(words: Words, start: int, stop: int, now: Sequence[str], delay_s: float = 0.0) -> Edit:
    """Return the edit that replaces the words ``[start, stop)`` with ``now`` (none: adds ``now``).

    ``delay_s`` puts additions at the same place in order, by their times.
    """
    if start < stop:
        since, until = words.words[start].start, words.words[stop - 1].end
    else:
        first = words.words[0].start if len(words) else 0.0
        since = until = words.words[start - 1].end if start else max(0.0, first - WINDOW_S)
    edit = Edit(
        "words",
        round(since + delay_s, 3),
        round(max(until, since) + delay_s, 3),
        was=joined(words.text(start, stop)),
        now=joined(now),
    )
    return _anchored(words, edit, start, stop)


def of_speaker(words: Words, start: int, stop: int, speaker: str) -> Edit:
    """Return the edit that gives the words ``[start, stop)`` to a speaker."""
    texts, own = words.text(start, stop), words.words[start:stop]
    times = own[0].start, max(own[0].start, own[-1].end)
    whole = Edit("speaker", *times, own[0].speaker or "", joined(texts), speaker)
    if len(texts) > LONG:
        short = replace(whole, was=joined(texts[:SHOWN]) + BETWEEN + joined(texts[-SHOWN:]))
        found = _anchored(words, short, start, stop)
        if _is_at(words, found, start, stop):
            return found
    return _anchored(words, whole, start, stop)


def _anchored(words: Words, edit: Edit, start: int, stop: int) -> Edit:
    """Return the edit with enough surrounding words for a single place in this transcript."""
    count = AROUND
    while True:
        before, after = words.around(start, stop, count)
        found = replace(edit, before=joined(before), after=joined(after))
        if count > len(words) or _is_at(words, found, start, stop):
            return found
        count *= 3


def _is_at(words: Words, edit: Edit, start: int, stop: int) -> bool:
    return place(words, [edit])[0].ranges == ((start, stop),)
