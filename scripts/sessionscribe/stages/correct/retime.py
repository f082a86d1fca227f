"""Replace and add words: unchanged words keep their times, new ones share the time that is free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sessionscribe.artifacts.transcript import SpokenWord
from sessionscribe.core.text import spaced
from sessionscribe.core.tokens import alike, atoms

ADDED_S = 0.4
"""How long an added word lasts where there is room."""


class Retimed(NamedTuple):
    """A new word and the number of the old word that it replaces or follows."""

    word: SpokenWord
    origin: int


class _Token(NamedTuple):
    """A token with its share of the time of word ``origin``."""

    text: str
    start: float
    end: float
    origin: int


def retimed(
    words: Sequence[SpokenWord], start: int, stop: int, now: Sequence[str], *, language: str
) -> list[Retimed]:
    """Return the words that replace ``words[start:stop]``, of which there is at least one.

    Tokens of ``now`` that were there before keep their time; others share the time of those that they
    replace, by length.
    """
    from rapidfuzz.distance import Levenshtein  # noqa: PLC0415

    old = [
        _Token(*share, number)
        for number in range(start, stop)
        for share in _shares(atoms(words[number].text), words[number].start, words[number].end)
    ] or [_Token("", words[start].start, words[stop - 1].end, start)]
    result: list[Retimed] = []
    for code in Levenshtein.opcodes([alike(token.text) for token in old], [alike(text) for text in now]):
        own, texts = old[code.src_start : code.src_end], now[code.dest_start : code.dest_end]
        if len(own) != len(texts):
            replaced = own or [old[max(0, code.src_start - 1)]]
            shares = enumerate(_shares(texts, *_span(old, code.src_start, code.src_end)))
            own = [_Token(*share, replaced[n * len(replaced) // len(texts)].origin) for n, share in shares]
        for text, token in zip(texts, own, strict=True):
            word = origin = words[token.origin]
            if atoms(origin.text) != [text]:
                word = _corrected(origin, text, token.start, token.end)
            if result and word.text != origin.text:
                space = spaced(result[-1].word.text, word.text, language)
                word = word.model_copy(update={"space": space})
            result.append(Retimed(word, token.origin))
    return result


def added(
    texts: Sequence[str], since: float, until: float, *, speaker: str | None, before: str, language: str
) -> list[SpokenWord]:
    """Return new words between two times, one after the other; they follow the text ``before``."""
    end = max(since, min(until, since + ADDED_S * len(texts)))
    return [
        SpokenWord(
            text=text,
            space=spaced(last, text, language) or not last,
            start=start,
            end=stop,
            probability=1.0,
            speaker=speaker,
            corrected=True,
        )
        for last, (text, start, stop) in zip([before, *texts], _shares(texts, since, end), strict=False)
    ]


def _corrected(word: SpokenWord, text: str, start: float, end: float) -> SpokenWord:
    changes = {"text": text, "start": start, "end": end, "probability": 1.0, "corrected": True}
    return word.model_copy(update=changes)


def _span(tokens: Sequence[_Token], start: int, stop: int) -> tuple[float, float]:
    """Return the time of some tokens, or of the pause before ``start`` if there are none."""
    if start < stop:
        since = tokens[start].start
        return since, max(since, *(token.end for token in tokens[start:stop]))
    since = tokens[start - 1].end if start else tokens[0].start
    until = tokens[start].start if start < len(tokens) else since
    return since, max(since, until)


def _shares(texts: Sequence[str], since: float, until: float) -> Iterator[tuple[str, float, float]]:
    """Divide a span of time among texts by their lengths; yield each with its start and end."""
    total = sum(map(len, texts)) or 1
    done, begin = 0, since
    for text in texts:
        done += len(text)
        end = round(since + (until - since) * done / total, 3)
        yield text, begin, end
        begin = end
