"""Is all audio cut and decoded exactly once, and are all words in order and within the recording?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from sessionscribe.artifacts.chunk_transcript import ChunkTranscript, Word
from sessionscribe.artifacts.merged import MergedWord
from sessionscribe.artifacts.plan import ChunkPlan, Timeline, TimelineTrack
from sessionscribe.artifacts.recording import Conversion
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.core.intervals import Interval, outside, united
from sessionscribe.core.text import counted
from sessionscribe.core.units import SAMPLE_RATE

EPSILON_S = 0.0011
"""Tolerance for times, which are rounded to a millisecond."""


def timeline_problems(timeline: Timeline, plans: Mapping[str, ChunkPlan]) -> list[str]:
    """Return the differences between the timeline and the plans."""
    lengths = {track.track: track.samples for track in timeline.tracks}
    planned = {name: plan.samples for name, plan in plans.items()}
    return [
        f"track {name} is not the same in the plan and the timeline"
        for name in sorted(lengths.keys() | planned.keys())
        if lengths.get(name) != planned.get(name)
    ]


def cut_problems(plan: ChunkPlan, conversion: Conversion) -> list[str]:
    """Return where the chunks of a plan do not tile the converted audio."""
    found: list[str] = []
    if plan.samples != conversion.samples:
        off = abs(plan.samples - conversion.samples) / SAMPLE_RATE
        found.append(f"the plan and the converted audio differ in length by {off:.3f} s")
    cores = [(core.start, core.stop) for core in plan.cores]
    gaps = outside([(0, plan.samples)], united(cores))
    found += [f"{_times(gap)} s belongs to no chunk" for gap in gaps]
    found += [f"{_times(overlap)} s belongs to two chunks" for overlap in _overlaps(cores)]
    return found


def transcript_counts(plan: ChunkPlan, chunks: Sequence[ChunkTranscript]) -> dict[int, int]:
    """Return the number of transcripts of each chunk of a plan; it should be 1."""
    return {core.index: sum(chunk.core == core for chunk in chunks) for core in plan.cores}


def decoding_problems(plan: ChunkPlan, chunks: Sequence[ChunkTranscript]) -> list[str]:
    """Return which chunks of a track have no transcript, or which audio was not decoded exactly once."""
    found = [
        f"chunk {index} has {count or 'no'} transcript{'s' if count else ''}"
        for index, count in transcript_counts(plan, chunks).items()
        if count != 1
    ]
    if found:
        return found
    decoded = [(part.heard.start, part.heard.stop) for part in chunks if part.heard.start < part.heard.stop]
    speech = united((span.start, span.stop) for span in plan.speech)
    return [
        *(
            f"no chunk has decoded the speech from {_times(gap)} s"
            for gap in outside(speech, united(decoded))
        ),
        *(f"two chunks have decoded {_times(overlap)} s" for overlap in _overlaps(decoded)),
    ]


def track_problems(track: TimelineTrack, words: Sequence[MergedWord]) -> list[str]:
    """Return what is wrong with the times of a track's words, which are in the order of the transcript."""
    start, end = track.offset / SAMPLE_RATE, (track.offset + track.samples) / SAMPLE_RATE
    return _time_problems(track.track, [words], start, end)


def transcript_problems(transcript: Transcript) -> list[str]:
    """Return what is wrong with the times of a transcript with speakers."""
    parts = [segment.words for segment in transcript.segments]
    return _time_problems("transcript", parts, 0.0, transcript.duration_s)


def _time_problems(name: str, parts: Sequence[Sequence[Word]], start_s: float, end_s: float) -> list[str]:
    words = [word for part in parts for word in part]
    found = {
        "outside the recording": sum(
            word.start < start_s - EPSILON_S or word.end > end_s + EPSILON_S for word in words
        ),
        "ending before its start": sum(word.end < word.start for word in words),
        "starting before the previous word": sum(
            after.start < before.start for part in parts for before, after in pairwise(part)
        ),
    }
    return [f"{name}: {counted(count, 'word')} {what}" for what, count in found.items() if count]


def _overlaps(spans: Iterable[Interval]) -> list[Interval]:
    return [(start, stop) for (_, stop), (start, _) in pairwise(sorted(spans)) if start < stop]


def _times(span: Interval) -> str:
    return f"{span[0] / SAMPLE_RATE:.3f} to {span[1] / SAMPLE_RATE:.3f}"
