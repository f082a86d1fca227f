"""Hallucination guards: text from where nobody speaks, or that goes round in circles, is taken out.

No word is thrown away: what is taken out is kept beside the transcript, with the reason. A guard needs
evidence beside the text, since people do say "Thank you." and "no, no, no, no". Thresholds on whole segments
come first (``fallback.suppression``); here single words are looked at, across segments. All depends on one
chunk alone.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from pathlib import Path

from sessionscribe.artifacts import SAMPLE_RATE, RemovedSegment, Segment, Span, Word
from sessionscribe.config import Transcribe
from sessionscribe.fallback import is_unsure
from sessionscribe.intervals import Interval, common, interval, length, united
from sessionscribe.repetition import runs
from sessionscribe.text import join_words, normalised

PHRASES = Path(__file__).with_name("phantoms.toml")
FASTEST = 10  # words in a second that nobody can say

PHANTOM = "a phrase that models invent in silence, and no speech there"
OUTSIDE = "outside all speech, in a segment that may be no speech"
CIRCLES = "the same words over and over, and doubt whether it is speech"


def guard(
    segments: Sequence[Segment], *, speech: Sequence[Span], options: Transcribe
) -> tuple[list[Segment], list[RemovedSegment]]:
    """Part what stays of a chunk's segments from what is taken out, each with its reason.

    Args:
        segments: in order, times in seconds of the track.
        speech: where the track has speech, in samples of the track, in order and apart.
        options: what counts as evidence.
    """
    voiced = united((span.start, span.stop) for span in speech)
    doubts = _Doubts(voiced, options)
    kept: list[Segment] = []
    removed: list[RemovedSegment] = []
    for segment in segments:
        if options.guards.phrases and doubts.is_invented(segment):
            removed.append(_removed(segment, PHANTOM))
        else:
            kept.append(segment)
    if options.guards.margin_s is not None:
        kept = _without(kept, doubts.outside(kept, options.guards.margin_s), OUTSIDE, removed)
    if options.guards.max_repeats:
        kept = _without(kept, doubts.circling(kept), CIRCLES, removed)
    return kept, sorted(removed, key=lambda part: part.start)


class _Doubts:
    """What speaks against a text: where there is speech, and what the engine says of itself."""

    def __init__(self, voiced: list[Interval], options: Transcribe) -> None:
        self._voiced, self._options = voiced, options

    def is_invented(self, segment: Segment) -> bool:
        """Tell whether a segment is a phantom phrase, and no speech."""
        kind = kind_of_phantom(segment.text)
        if kind is None or self._mostly_outside(segment.words):
            return kind is not None
        if kind == "credits":
            return is_unsure(segment, self._options)
        silent = segment.no_speech_prob > self._options.no_speech_threshold
        return silent and is_unsure(segment, self._options)

    def outside(self, segments: Sequence[Segment], margin_s: float) -> set[tuple[int, int]]:
        """Return the numbers (segment, word) of doubted words with no speech within ``margin_s``."""
        margin = round(margin_s * SAMPLE_RATE)
        found = set()
        for i, segment in enumerate(segments):
            if not is_unsure(segment, self._options):
                continue
            for j, word in enumerate(segment.words):
                start, stop = interval(word.start, word.end)
                if not common([(start - margin, stop + margin + 1)], self._voiced):
                    found.add((i, j))
        return found

    def circling(self, segments: Sequence[Segment]) -> set[tuple[int, int]]:
        """Return the numbers (segment, word) of doubted repetitions; the first time, a phrase stays."""
        places = [(i, j) for i, segment in enumerate(segments) for j in range(len(segment.words))]
        words = [segments[i].words[j] for i, j in places]
        found: set[tuple[int, int]] = set()
        for run in runs([normalised(word.text) for word in words], most=self._options.guards.max_repeats):
            said = words[run.first : run.stop]
            own = {i for i, _ in places[run.first : run.stop]}
            if self._is_no_speech(said) or any(is_unsure(segments[i], self._options) for i in own):
                found |= set(places[run.first + run.period : run.stop])
        return found

    def _is_no_speech(self, words: Sequence[Word]) -> bool:
        """Tell whether words come faster than anybody speaks, or lie outside speech for the most part."""
        start, stop = interval(words[0].start, words[-1].end)
        return (stop - start) * FASTEST < len(words) * SAMPLE_RATE or self._mostly_outside(words)

    def _mostly_outside(self, words: Sequence[Word]) -> bool:
        said = united(interval(word.start, word.end) for word in words)
        return 2 * length(common(said, self._voiced)) < length(said) or not said


def _without(
    segments: Sequence[Segment],
    gone: set[tuple[int, int]],
    reason: str,
    removed: list[RemovedSegment],
) -> list[Segment]:
    """Return the segments without some words, which go to ``removed``, neighbours as one."""
    kept: list[Segment] = []
    for i, segment in enumerate(segments):
        numbers = range(len(segment.words))
        if not any((i, j) in gone for j in numbers):
            kept.append(segment)
            continue
        for is_gone, group in groupby(numbers, key=lambda j, i=i: (i, j) in gone):  # type: ignore[misc]
            part = _part(segment, [segment.words[j] for j in group])
            if is_gone:
                removed.append(_removed(part, reason))
            else:
                kept.append(part)
    return kept


def _part(segment: Segment, words: list[Word]) -> Segment:
    text = join_words(words)
    new = {"start": words[0].start, "end": words[-1].end, "text": text, "words": words}
    return segment.model_copy(update=new)


def _removed(segment: Segment, reason: str) -> RemovedSegment:
    return RemovedSegment(**segment.model_dump(), reason=reason)


def kind_of_phantom(text: str) -> str | None:
    """Tell whether a text is nothing but phrases that models are known to invent in silence.

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
