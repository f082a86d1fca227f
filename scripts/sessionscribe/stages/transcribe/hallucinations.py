"""Hallucination filter: phrases that models are known to invent are taken out where nobody speaks.

No word is thrown away: what is taken out is kept beside the transcript, with the reason. The filter needs
evidence beside the text, since people do say "Thank you.". Thresholds on whole segments come first
(``fallback.suppression``). All depends on one chunk alone.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from sessionscribe.artifacts.chunk_transcript import RemovedSegment, Segment, Word
from sessionscribe.artifacts.plan import Span
from sessionscribe.config.settings import Transcribe
from sessionscribe.core.intervals import Interval, common, interval, length, united
from sessionscribe.core.text import normalised
from sessionscribe.stages.transcribe.fallback import is_unsure

PHRASES = Path(__file__).with_name("hallucination_phrases.toml")
PHANTOM = "a phrase that models invent in silence, and no speech there"


def filter_phrases(
    segments: Sequence[Segment], *, speech: Sequence[Span], options: Transcribe
) -> tuple[list[Segment], list[RemovedSegment]]:
    """Part what stays of a chunk's segments from what is taken out, each with its reason.

    Args:
        segments: in order, times in seconds of the track.
        speech: where the track has speech, in samples of the track, in order and apart.
        options: what counts as evidence.
    """
    voiced = united((span.start, span.stop) for span in speech)
    kept: list[Segment] = []
    removed: list[RemovedSegment] = []
    for segment in segments:
        if options.filter_phrases and _is_invented(segment, voiced, options):
            removed.append(RemovedSegment(**segment.model_dump(), reason=PHANTOM))
        else:
            kept.append(segment)
    return kept, removed


def _is_invented(segment: Segment, voiced: list[Interval], options: Transcribe) -> bool:
    kind = kind_of_phantom(segment.text)
    if kind is None or _mostly_outside(segment.words, voiced):
        return kind is not None
    if kind == "credits":
        return is_unsure(segment, options)
    return segment.no_speech_prob > options.no_speech_threshold and is_unsure(segment, options)


def _mostly_outside(words: Sequence[Word], voiced: list[Interval]) -> bool:
    said = united(interval(word.start, word.end) for word in words)
    return 2 * length(common(said, voiced)) < length(said) or not said


def kind_of_phantom(text: str) -> str | None:
    """Return whether a text is nothing but phrases that models are known to invent in silence.

    Returns:
        ``credits`` (nobody says them), ``closings`` (people do, too), or None for any other text.
    """
    normal = normalised(text)
    return next((kind for kind, pattern in _patterns().items() if pattern.fullmatch(normal)), None)


def phrases() -> dict[str, dict[str, list[str]]]:
    """Return the known phrases by kind and language (Whisper's codes)."""
    return tomllib.loads(PHRASES.read_text(encoding="utf-8"))


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """Return what credits look like, and what closings do, credits among them or not."""
    # Of all languages: a model that hears nothing does not keep to the one that it was told.
    every = {
        kind: {normalised(phrase) for own in languages.values() for phrase in own}
        for kind, languages in phrases().items()
    }
    return {"credits": _either(every["credits"]), "closings": _either(every["credits"] | every["closings"])}


def _either(texts: set[str]) -> re.Pattern[str]:
    longest_first = (re.escape(text) for text in sorted(texts, key=len, reverse=True))
    return re.compile(f"({'|'.join(re.sub('[0-9]{4}', '[0-9]{4}', text) for text in longest_first)})+")
