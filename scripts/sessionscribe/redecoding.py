"""What batched decoding got wrong, or nothing from, is decoded again.

Batched decoding tries each window once. Here is decided which stretches of its result are not to be trusted,
and how what is found there the second time takes their place. All of it depends on the chunk alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sessionscribe.artifacts import SAMPLE_RATE, Span
from sessionscribe.config import Transcribe
from sessionscribe.engines.decoded import Decoded

NO_WORD = "speech without a word"
UNSURE = "mean log probability below its threshold"
REPEATS = "repeats itself: compression ratio above its threshold"
SILENCE = "taken for silence: no-speech probability above its threshold, mean log probability below"


@dataclass(frozen=True)
class Again:
    """A stretch of the decoded audio (in samples) that is decoded again, and what that replaces."""

    span: Span
    reason: str
    replaced: tuple[Decoded, ...] = ()
    found: tuple[Decoded, ...] = ()


def doubt(segment: Decoded, options: Transcribe) -> str | None:
    """Return why a segment is not to be trusted, or None: the thresholds of sequential decoding."""
    unsure = segment.average_log_probability < options.log_prob_threshold
    if unsure and segment.no_speech_probability > options.no_speech_threshold:
        return SILENCE
    if segment.compression_ratio > options.compression_ratio_threshold:
        return REPEATS
    return UNSURE if unsure else None


def find_doubtful(
    segments: Sequence[Decoded], windows: Sequence[Span], speech: Sequence[Span], options: Transcribe
) -> list[Again]:
    """Return the stretches to decode again, in order and apart.

    These are the windows of doubtful segments, and in the others what of ``speech`` goes on for
    ``options.redecode_s`` seconds without a word.

    Args:
        segments: as decoded in batches.
        windows: as given to the engine, in samples, in order, without overlap.
        speech: stretches of speech in samples, in order, without overlap.
        options: the thresholds.
    """
    again: dict[int, Again] = {}
    for number, window in enumerate(windows):
        inside = tuple(segment for segment in segments if segment.window == number)
        reasons = [reason for segment in inside if (reason := doubt(segment, options))]
        if reasons:
            again[number] = Again(window, reasons[0], replaced=inside)
    settled = [
        Span(start=round(word.start * SAMPLE_RATE), stop=round(word.end * SAMPLE_RATE))
        for segment in segments
        if segment.window not in again
        for word in segment.words
        if word.text
    ]
    taken = sorted([*settled, *(part.span for part in again.values())], key=lambda span: span.start)
    silent = [
        Again(gap, NO_WORD)
        for gap in _uncovered(speech, taken)
        if gap.stop - gap.start >= options.redecode_s * SAMPLE_RATE
    ]
    return sorted([*again.values(), *silent], key=lambda part: part.span.start)


def _uncovered(spans: Sequence[Span], taken: Sequence[Span]) -> list[Span]:
    """Return what is left of ``spans`` outside ``taken`` (in order of their starts)."""
    left: list[Span] = []
    for span in spans:
        position = span.start
        for other in taken:
            if other.start >= span.stop:
                break
            if other.start > position:
                left.append(Span(start=position, stop=other.start))
            position = max(position, other.stop)
        if position < span.stop:
            left.append(Span(start=position, stop=span.stop))
    return left


def redecode(
    segments: Sequence[Decoded], doubtful: Sequence[Again], decode: Callable[[Span], list[Decoded]]
) -> tuple[list[Decoded], list[Again]]:
    """Decode the doubtful stretches again; return all segments in order, and what was done.

    Args:
        segments: as decoded the first time.
        doubtful: from ``find_doubtful``.
        decode: decodes a stretch sequentially; times count from the start of the stretch.
    """
    gone = {id(segment) for part in doubtful for segment in part.replaced}
    kept = [segment for segment in segments if id(segment) not in gone]
    done: list[Again] = []
    for part in doubtful:
        offset, length = part.span.start / SAMPLE_RATE, (part.span.stop - part.span.start) / SAMPLE_RATE
        found = tuple(_moved(segment, offset, length) for segment in decode(part.span))
        done.append(replace(part, found=found))
        kept += found
    return sorted(kept, key=lambda segment: segment.start), done


def _moved(segment: Decoded, offset: float, length: float) -> Decoded:
    """Return a segment of a stretch on the clock of the decoded audio, and inside the stretch."""

    def at(time: float) -> float:
        return offset + min(max(time, 0.0), length)

    words = tuple(replace(word, start=at(word.start), end=at(word.end)) for word in segment.words)
    return replace(segment, start=at(segment.start), end=at(segment.end), words=words)
