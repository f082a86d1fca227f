"""New words in the place of others: which stay, and when the others are said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sessionscribe.artifacts.transcript import SpokenWord
from sessionscribe.core.text import spaced
from sessionscribe.core.tokens import alike, atoms

ADDED_S = 0.4  # how long an added word is taken to be, where there is room


@dataclass(frozen=True)
class Rewritten:
    """A word of the result and the word of the transcript (by number) that it stands for or stands by."""

    word: SpokenWord
    origin: int


@dataclass(frozen=True)
class _Source:
    """An atom of the transcript: a share of its word's time."""

    text: str
    start: float
    end: float
    origin: int


def rewritten(
    words: Sequence[SpokenWord], start: int, stop: int, now: Sequence[str], *, language: str
) -> list[Rewritten]:
    """Return the words that ``words[start:stop]``, which are not none, become when they are to read ``now``.

    Words that both have keep their time; others share the time of those that they stand for, by letters.
    Spaces are as ``language`` has them, but for the first one, which stays.
    """
    from rapidfuzz.distance import Levenshtein  # noqa: PLC0415

    sources = [source for number in range(start, stop) for source in _sources(words[number], number)]
    if not sources:  # words without any text
        sources = [_Source("", words[start].start, words[stop - 1].end, start)]
    found: list[Rewritten] = []
    old, new = [alike(source.text) for source in sources], [alike(text) for text in now]
    for code in Levenshtein.opcodes(old, new):
        own, texts = sources[code.src_start : code.src_end], now[code.dest_start : code.dest_end]
        if len(own) == len(texts):
            pairs = zip(own, texts, strict=True)
            found += [_one(words, s.origin, text, s.start, s.end) for s, text in pairs]
        elif texts:
            since, until = _span(sources, code.src_start, code.src_end)
            origins = own or [sources[max(0, code.src_start - 1)]]
            for number, (text, a, b) in enumerate(_shared(texts, since, until)):
                origin = origins[number * len(origins) // len(texts)].origin
                found.append(_one(words, origin, text, a, b))
    before = ""
    for number, item in enumerate(found):
        if before and item.word.text != words[item.origin].text:
            space = spaced(before, item.word.text, language)
            found[number] = replace(item, word=item.word.model_copy(update={"space": space}))
        before = item.word.text
    return found


def added(
    texts: Sequence[str], since: float, until: float, like: SpokenWord, *, language: str
) -> list[SpokenWord]:
    """Return new words after the word ``like``, with its speaker, one after the other from ``since`` on."""
    end = min(until, since + ADDED_S * len(texts))
    found: list[SpokenWord] = []
    for text, a, b in _shared(texts, since, max(since, end)):
        before = found[-1].text if found else like.text
        space = spaced(before, text, language) if before else like.space
        found.append(_corrected(like, text, a, b).model_copy(update={"space": space}))
    return found


def _one(words: Sequence[SpokenWord], origin: int, text: str, start: float, end: float) -> Rewritten:
    word = words[origin]
    if atoms(word.text) == [text]:
        return Rewritten(word, origin)
    return Rewritten(_corrected(word, text, start, end), origin)


def _corrected(word: SpokenWord, text: str, start: float, end: float) -> SpokenWord:
    changes = {"text": text, "start": start, "end": end, "probability": 1.0, "corrected": True}
    return word.model_copy(update=changes)


def _sources(word: SpokenWord, origin: int) -> list[_Source]:
    return [_Source(text, a, b, origin) for text, a, b in _shared(atoms(word.text), word.start, word.end)]


def _span(sources: Sequence[_Source], start: int, stop: int) -> tuple[float, float]:
    """Return the time of some atoms; of none, the pause that is there."""
    if start < stop:
        since = sources[start].start
        return since, max(since, *(source.end for source in sources[start:stop]))
    since = sources[start - 1].end if start else sources[0].start
    until = sources[start].start if start < len(sources) else since
    return since, max(since, until)


def _shared(texts: Sequence[str], since: float, until: float) -> Iterator[tuple[str, float, float]]:
    """Yield texts with a share of a stretch of time each, by their lengths."""
    total = sum(map(len, texts)) or 1
    done, begin = 0, since
    for text in texts:
        done += len(text)
        end = round(since + (until - since) * done / total, 3)
        yield text, begin, end
        begin = end
