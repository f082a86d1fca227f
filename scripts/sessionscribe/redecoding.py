"""What one way of decoding got wrong, or nothing from, is decoded the other way; the better version stays.

Batched decoding tries each window once; sequential decoding goes by its own times, and may jump over speech.
Here is decided which stretches of a result are not to be trusted, and which version of them wins. All of it
depends on the chunk alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import exp
from typing import Protocol

from sessionscribe.artifacts import SAMPLE_RATE, Span
from sessionscribe.config import Transcribe
from sessionscribe.engines.decoded import Decoded
from sessionscribe.intervals import Interval, common, heard_in, length, outside, united

NO_WORD = "speech without a word"
UNSURE = "mean log probability below its threshold"
REPEATS = "repeats itself: compression ratio above its threshold"
SILENCE = "taken for silence: no-speech probability above its threshold, mean log probability below"
INVENTED = "taken for invented: nothing was heard there at first, and not sure of itself"
PAUSE_S = 0.3  # between words nearer than this nothing is missing


@dataclass(frozen=True)
class Again:
    """A stretch of the decoded audio (in samples) that is decoded the other way, and both versions of it.

    ``worth`` is that of the first and of the second version (``worth_of``).
    """

    span: Span
    reason: str
    first: tuple[Decoded, ...] = ()
    second: tuple[Decoded, ...] = ()
    worth: tuple[float, float] = (0.0, 0.0)

    @property
    def second_wins(self) -> bool:
        """Whether the second version is the better one; of equals the first stays."""
        return self.worth[1] > self.worth[0]


def doubt(segment: Decoded, options: Transcribe) -> str | None:
    """Return why a segment is not to be trusted, or None: the thresholds of sequential decoding."""
    unsure = segment.average_log_probability < options.log_prob_threshold
    if unsure and segment.no_speech_probability > options.no_speech_threshold:
        return SILENCE
    if segment.compression_ratio > options.compression_ratio_threshold:
        return REPEATS
    return UNSURE if unsure else None


class Scored(Protocol):
    """What an engine has said, and how sure it is of that."""

    @property
    def average_log_probability(self) -> float:
        """The mean log probability of its tokens."""

    @property
    def no_speech_probability(self) -> float:
        """The probability that nobody speaks."""


def is_unsure(segment: Scored, options: Transcribe) -> bool:
    """Tell whether the engine is not sure of a segment, long before it would leave it out itself."""
    guards = options.guards
    return (
        segment.no_speech_probability > guards.doubt_no_speech
        or segment.average_log_probability < guards.doubt_log_prob
    )


def find_doubtful(
    segments: Sequence[Decoded], windows: Sequence[Span], speech: Sequence[Span], options: Transcribe
) -> list[Again]:
    """Return the stretches to decode again, in order and apart.

    These are the windows of doubtful segments (of sequential decoding, which knows none: doubtful segments
    next to one another), and elsewhere, between two words, what has ``options.redecode_s`` seconds of speech.
    Pauses in it do not count, as in the audit: a row of shouts that nobody wrote down is a gap, too.

    Args:
        segments: as decoded, in order.
        windows: as given to the engine, in samples, in order, without overlap.
        speech: stretches of speech in samples, in order, without overlap.
        options: the thresholds.
    """
    doubted = {s.window for s in segments if s.window is not None and doubt(s, options)}

    def unit(segment: Decoded) -> tuple[bool, int | None]:
        alone = segment.window is None
        return bool(doubt(segment, options)) if alone else segment.window in doubted, segment.window

    again: list[Again] = []
    settled: list[Interval] = []
    for (doubtful, _), group in groupby(segments, key=unit):
        inside = tuple(group)
        if doubtful:
            reason = next(reason for segment in inside if (reason := doubt(segment, options)))
            again.append(Again(_stretch(inside, windows), reason, first=inside))
        else:
            settled += [
                interval
                for segment in inside
                for word in segment.words
                if word.text and not segment.left_out
                for interval in heard_in(word.start, word.end)
            ]
    again = _apart(again, united(settled))
    taken = united([*settled, *((part.span.start, part.span.stop) for part in again)])
    silent = [
        Again(Span(start=gap[0][0], stop=gap[-1][1]), NO_WORD)
        for gap in _gaps(speech, taken)
        if length(gap) >= options.redecode_s * SAMPLE_RATE
    ]
    every = sorted([*again, *silent], key=lambda part: part.span.start)
    return [part for part in every if _within(speech, part.span)]


def _gaps(speech: Sequence[Span], taken: Sequence[Interval]) -> list[list[Interval]]:
    """Return what of the speech lies between neighbouring stretches of ``taken``: a list for each pair."""
    ends = [stop for _, stop in taken]
    pieces = outside(_intervals(speech), taken)
    return [list(gap) for _, gap in groupby(pieces, key=lambda piece: bisect_right(ends, piece[0]))]


def _stretch(segments: Sequence[Decoded], windows: Sequence[Span]) -> Span:
    number = segments[0].window
    if number is not None:
        return windows[number]
    start = round(min(segment.start for segment in segments) * SAMPLE_RATE)
    stop = round(max(segment.end for segment in segments) * SAMPLE_RATE)
    return Span(start=max(0, start), stop=max(0, start, stop))


def _apart(again: Sequence[Again], settled: Sequence[Interval]) -> list[Again]:
    """Return the stretches without what is settled, or another stretch's, at their edges; none is empty."""
    found: list[Again] = []
    taken = list(settled)
    for part in again:
        left = outside([(part.span.start, part.span.stop)], united(taken))
        if left:
            longest = max(left, key=lambda interval: interval[1] - interval[0])
            found.append(replace(part, span=Span(start=longest[0], stop=longest[1])))
            taken.append(longest)
    return found


def worth_of(segments: Sequence[Decoded], speech: Sequence[Span], options: Transcribe) -> float:
    """Return how many seconds of speech a version hears, weighted by how sure it is of the words.

    Each second of speech that is covered by words counts with the mean probability of its segment's tokens.
    What the engine left out, and what repeats itself or is taken for silence, counts nothing.

    Args:
        segments: a version of a stretch.
        speech: in the same stretch and on the same clock, in samples, in order, without overlap.
        options: the thresholds.
    """
    pause = round(PAUSE_S * SAMPLE_RATE / 2)
    total = 0.0
    for segment in segments:
        if segment.left_out or doubt(segment, options) in (SILENCE, REPEATS):
            continue
        words = united(
            (start - pause, stop + pause)
            for word in segment.words
            if word.text
            for start, stop in heard_in(word.start, word.end)
        )
        heard = length(common(_intervals(speech), words)) / SAMPLE_RATE
        total += heard * exp(min(0.0, segment.average_log_probability))
    return total


def redecode(
    segments: Sequence[Decoded],
    doubtful: Sequence[Again],
    speech: Sequence[Span],
    options: Transcribe,
    decode: Callable[[Span], list[Decoded]],
) -> tuple[list[Decoded], list[Again]]:
    """Decode the doubtful stretches the other way; return all segments in order, and what was done.

    Args:
        segments: as decoded the first time.
        doubtful: from ``find_doubtful``.
        speech: stretches of speech in samples, in order, without overlap.
        options: the thresholds.
        decode: decodes a stretch the other way; times count from the start of the stretch.
    """
    done: list[Again] = []
    gone: set[int] = set()
    won: list[Decoded] = []
    for part in doubtful:
        offset, long = part.span.start / SAMPLE_RATE, (part.span.stop - part.span.start) / SAMPLE_RATE
        second = tuple(_moved(segment, offset, long) for segment in decode(part.span))
        within = _within(speech, part.span)
        if not part.first:
            second = tuple(_sure(segment, options) for segment in second)
        worth = worth_of(part.first, within, options), worth_of(second, within, options)
        done.append(replace(part, second=second, worth=worth))
        if done[-1].second_wins:
            gone |= {id(segment) for segment in part.first}
            won += second
    kept = [segment for segment in segments if id(segment) not in gone]
    return sorted([*kept, *won], key=lambda segment: segment.start), done


def _sure(segment: Decoded, options: Transcribe) -> Decoded:
    """Return a segment from where nothing was heard before: left out if it may be invented."""
    doubtful = not segment.left_out and is_unsure(segment, options)
    return replace(segment, left_out=INVENTED) if doubtful else segment


def _within(speech: Sequence[Span], span: Span) -> list[Span]:
    """Return the speech in a stretch."""
    inside = common(_intervals(speech), [(span.start, span.stop)])
    return [Span(start=start, stop=stop) for start, stop in inside]


def _intervals(spans: Sequence[Span]) -> list[Interval]:
    return [(span.start, span.stop) for span in spans]


def _moved(segment: Decoded, offset: float, length: float) -> Decoded:
    """Return a segment of a stretch on the clock of the decoded audio, and inside the stretch."""

    def at(time: float) -> float:
        return offset + min(max(time, 0.0), length)

    words = tuple(replace(word, start=at(word.start), end=at(word.end)) for word in segment.words)
    return replace(segment, start=at(segment.start), end=at(segment.end), words=words)
