"""Hallucination filter: find phrases that models are known to invent where nobody speaks.

Since people do say "Thank you.", the filter needs evidence besides the text. Removed text is kept beside the
transcript with the reason. Thresholds on segments (``fallback.suppression``) are applied before.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from sessionscribe.artifacts.chunk_transcript import Segment, Word
from sessionscribe.config.settings import Transcribe
from sessionscribe.core.intervals import Interval, common, interval, length, united
from sessionscribe.core.text import normalised
from sessionscribe.stages.transcribe.fallback import is_unsure

PHRASES = Path(__file__).with_name("hallucination_phrases.toml")
HALLUCINATION = "a phrase that models invent in silence, and no speech there"


def is_hallucination(segment: Segment, speech: Sequence[Interval], options: Transcribe) -> bool:
    """Return whether a segment consists of invented phrases only, given the speech of its track."""
    kind = kind_of_phrase(segment.text) if options.filter_phrases else None
    if kind is None or _mostly_outside(segment.words, speech):
        return kind is not None
    if kind == "credits":
        return is_unsure(segment, options)
    return segment.no_speech_prob > options.no_speech_threshold and is_unsure(segment, options)


def _mostly_outside(words: Sequence[Word], speech: Sequence[Interval]) -> bool:
    said = united(interval(word.start, word.end) for word in words)
    return 2 * length(common(said, speech)) < length(said) or not said


def kind_of_phrase(text: str) -> str | None:
    """Return the kind of a text that consists of phrases that models invent in silence.

    That is ``credits`` (nobody says them) or ``closings`` (people say them, too); None for other texts.
    """
    normal = normalised(text)
    return next((kind for kind, pattern in _patterns().items() if pattern.fullmatch(normal)), None)


def phrases() -> dict[str, dict[str, list[str]]]:
    """Return the known phrases by kind and language (Whisper's codes)."""
    return tomllib.loads(PHRASES.read_text(encoding="utf-8"))


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """Return the patterns of credits, and of closings with or without credits."""
    # Of all languages: in silence, models also invent phrases in other languages.
    every = {
        kind: {normalised(phrase) for own in languages.values() for phrase in own}
        for kind, languages in phrases().items()
    }
    return {"credits": _either(every["credits"]), "closings": _either(every["credits"] | every["closings"])}


def _either(texts: set[str]) -> re.Pattern[str]:
    longest_first = (re.escape(text) for text in sorted(texts, key=len, reverse=True))
    return re.compile(f"({'|'.join(re.sub('[0-9]{4}', '[0-9]{4}', text) for text in longest_first)})+")
