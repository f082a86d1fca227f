"""Passages that deserve a second look: speech without words, repetitions, and words of low probability."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from statistics import fmean

from sessionscribe.artifacts.audit import LowConfidence, Repeat, SpeechGap
from sessionscribe.artifacts.chunk_transcript import ChunkTranscript
from sessionscribe.artifacts.merged import MergedWord
from sessionscribe.artifacts.plan import ChunkPlan
from sessionscribe.core.intervals import Interval, common, gaps, interval, length, united
from sessionscribe.core.repetition import runs
from sessionscribe.core.text import join_words, normalised
from sessionscribe.core.units import SAMPLE_RATE, seconds

SMOOTH = 5
"""Words over which probabilities are averaged."""
FEWEST = 4
"""Words of the shortest passage that is listed."""


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


def _gaps(plan: ChunkPlan, words: Sequence[Interval], gap_s: float) -> list[list[Interval]]:
    """Return the gaps between words with more than ``gap_s`` seconds of speech, as this speech."""
    speech = united((span.start, span.stop) for span in plan.speech)
    return [gap for gap in gaps(speech, words) if length(gap) > gap_s * SAMPLE_RATE]


def repeats(words: Sequence[MergedWord], *, most: int) -> list[Repeat]:
    """Return phrases that follow themselves more than ``most`` times (single words twice that)."""
    return [
        Repeat(
            track=words[run.first].track,
            start=words[run.first].start,
            end=max(word.end for word in words[run.first : run.stop]),
            text=join_words(words[run.first : run.first + run.period]),
            times=run.times,
        )
        for run in runs([normalised(word.text) for word in words], most=most)
    ]


def unsure(words: Sequence[MergedWord], *, below: float) -> list[LowConfidence]:
    """Return the passages of a track in which the moving average of probabilities is ``below`` a limit."""
    half = SMOOTH // 2
    means = [
        fmean(word.probability for word in words[max(0, i - half) : i + half + 1]) for i in range(len(words))
    ]
    found: list[LowConfidence] = []
    for low, group in groupby(zip(means, words, strict=True), key=lambda pair: pair[0] < below):
        part = [word for _, word in group]
        if low and len(part) >= FEWEST:
            found.append(
                LowConfidence(
                    track=part[0].track,
                    start=part[0].start,
                    end=max(word.end for word in part),
                    words=len(part),
                    probability=round(fmean(word.probability for word in part), 4),
                    text=join_words(part),
                )
            )
    return found
