"""What a speech model says: words and segments, in seconds from the start of the decoded audio."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TimedWord:
    """A word, in seconds from the start of the decoded audio."""

    text: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True)
class Decoded:
    """One segment as the engine gives it, in seconds from the start of the decoded audio.

    ``window`` is the number of the window that it was decoded from (batched decoding only).
    ``left_out`` says why the segment is not to be in the transcript; else it is empty.
    """

    text: str
    start: float
    end: float
    words: tuple[TimedWord, ...]
    average_log_probability: float
    no_speech_probability: float
    compression_ratio: float
    temperature: float
    window: int | None = None
    left_out: str = ""


def joined(words: Iterable[Mapping[str, Any]]) -> tuple[TimedWord, ...]:
    """Return the engine's words; the pieces of a Latin word in a language without spaces become one word.

    Args:
        words: mappings with ``word``, ``start``, ``end`` and ``probability``.
    """
    found: list[TimedWord] = []
    for word in words:
        text = word["word"]
        piece = TimedWord(text.strip(), float(word["start"]), float(word["end"]), float(word["probability"]))
        if found and _latin(found[-1].text[-1:]) and _latin(text[:1]):
            last = found.pop()
            sure = min(last.probability, piece.probability)
            piece = TimedWord(last.text + piece.text, last.start, piece.end, sure)
        found.append(piece)
    return tuple(found)


def _latin(character: str) -> bool:
    return character.isascii() and character.isalnum()
