"""Where is speech without a word?"""

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
    """Return how much speech a track has, and how much of it is in no gap between words, in samples."""
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
    """Return the stretches between words in which there is more than ``gap_s`` seconds of speech.

    Speech with pauses in it counts together: twenty shouts between two words are a gap, too. What a guard
    removed counts as words here, since the transcript says why it is not there.

    Args:
        plan: where the track has speech.
        chunks: the transcripts of its chunks.
        words: of the track, in samples of the track, in any order.
        gap_s: in seconds.
        offset: of the track in its session, in samples.
    """
    removed = [interval(part.start, part.end) for chunk in chunks for part in chunk.removed]
    again = united(interval(part.start, part.end) for chunk in chunks for part in chunk.redecoded)
    return [
        SpeechGap(
            track=plan.track,
            start=seconds(offset + within[0][0]),
            end=seconds(offset + within[-1][1]),
            speech_s=seconds(length(within)),
            decoded_again=bool(common(within, again)),
        )
        for within in _gaps(plan, united([*words, *removed]), gap_s)
    ]


def _gaps(plan: ChunkPlan, taken: Sequence[Interval], gap_s: float) -> Iterator[list[Interval]]:
    """Yield the speech between what is ``taken``, where it is more than ``gap_s`` seconds."""
    speech = united((span.start, span.stop) for span in plan.speech)
    starts = [start for start, _ in taken]
    for _, between in groupby(outside(speech, taken), key=lambda piece: bisect(starts, piece[0])):
        within = list(between)
        if length(within) > gap_s * SAMPLE_RATE:
            yield within
