"""Where is speech without words?"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from itertools import groupby

from sessionscribe.artifacts.audit import SpeechGap
from sessionscribe.artifacts.chunk_transcript import ChunkTranscript
from sessionscribe.artifacts.plan import ChunkPlan
from sessionscribe.core.intervals import Interval, common, interval, length, outside, united
from sessionscribe.core.units import SAMPLE_RATE, seconds


def covered(plan: ChunkPlan, words: Sequence[Interval], *, gap_s: float) -> tuple[int, int]:
    """Return the length of a track's speech, and of its speech outside gaps between words, in samples."""
    speech = united((span.start, span.stop) for span in plan.speech)
    return length(speech), length(speech) - sum(map(length, _gaps(plan, united(words), gap_s)))


def speech_gaps(
    plan: ChunkPlan,
    chunks: Sequence[ChunkTranscript],
    words: Sequence[Interval],
    *,
    gap_s: float,
    offset: int,
) -> list[SpeechGap]:
    """Return the gaps between words with more than ``gap_s`` seconds of speech.

    Speech interrupted by pauses counts together: twenty shouts between two words are a gap. Removed words
    count as words, since the transcript says why they are missing. ``words`` are in samples of the track,
    which starts at ``offset`` of the session.
    """
    removed = [interval(part.start, part.end) for chunk in chunks for part in chunk.removed]
    again = united(interval(part.start, part.end) for chunk in chunks for part in chunk.redecoded)
    return [
        SpeechGap(
            track=plan.track,
            start=seconds(offset + gap[0][0]),
            end=seconds(offset + gap[-1][1]),
            speech_s=seconds(length(gap)),
            decoded_again=bool(common(gap, again)),
        )
        for gap in _gaps(plan, united([*words, *removed]), gap_s)
    ]


def _gaps(plan: ChunkPlan, words: Sequence[Interval], gap_s: float) -> Iterator[list[Interval]]:
    """Yield the speech in each gap between words that has more than ``gap_s`` seconds of it."""
    speech = united((span.start, span.stop) for span in plan.speech)
    starts = [start for start, _ in words]
    for _, between in groupby(outside(speech, words), key=lambda piece: bisect(starts, piece[0])):
        gap = list(between)
        if length(gap) > gap_s * SAMPLE_RATE:
            yield gap
