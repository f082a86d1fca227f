"""Is all audio of a session in a chunk, and was every chunk decoded?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from sessionscribe.artifacts.chunk_transcript import ChunkTranscript
from sessionscribe.artifacts.plan import ChunkPlan, Timeline
from sessionscribe.artifacts.recording import Conversion
from sessionscribe.core.intervals import outside, united
from sessionscribe.core.units import SAMPLE_RATE


def tiling_problems(plan: ChunkPlan, conversion: Conversion) -> list[str]:
    """Return what is wrong with how a track is cut: its cores must tile the converted audio exactly."""
    found: list[str] = []
    if plan.samples != conversion.samples:
        off = abs(plan.samples - conversion.samples) / SAMPLE_RATE
        found.append(f"the plan and the converted audio differ in length by {off:.3f} s")
    cores = sorted(plan.cores, key=lambda core: core.start)
    edges = [0, *(edge for core in cores for edge in (core.start, core.stop)), plan.samples]
    for end, begin in zip(edges[::2], edges[1::2], strict=True):
        if end != begin:
            what = "belongs to no chunk" if begin > end else "belongs to two chunks"
            first, last = sorted((begin / SAMPLE_RATE, end / SAMPLE_RATE))
            found.append(f"{first:.3f} to {last:.3f} s {what}")
    found += [
        f"chunks {one.index} and {other.index} have the same number or the wrong order"
        for one, other in pairwise(cores)
        if one.index >= other.index
    ]
    return found


def timeline_problems(timeline: Timeline, plans: Mapping[str, ChunkPlan]) -> list[str]:
    """Return where the session's clock and its plans disagree."""
    lengths = {track.track: track.samples for track in timeline.tracks}
    found = []
    for name in sorted(lengths.keys() | plans.keys()):
        if name not in plans:
            found.append(f"track {name} has no plan")
        elif lengths.get(name) != plans[name].samples:
            what = "has another length" if name in lengths else "is not"
            found.append(f"track {name} {what} on the session's clock")
    return found


def decoded_cores(plan: ChunkPlan, chunks: Sequence[ChunkTranscript]) -> list[str]:
    """Return which of a plan's chunks have no transcript of their own, or more than one."""
    found: list[str] = []
    for core in plan.cores:
        count = sum(chunk.core == core for chunk in chunks)
        if count != 1:
            found.append(f"chunk {core.index} has {count or 'no'} transcript{'s' if count else ''}")
    return found


def undecoded_speech(plan: ChunkPlan, chunks: Sequence[ChunkTranscript]) -> list[str]:
    """Return where there is speech that no chunk has decoded."""
    speech = united((span.start, span.stop) for span in plan.speech)
    heard = united((chunk.heard.start, chunk.heard.stop) for chunk in chunks)
    return [
        f"no chunk has decoded the speech from {start / SAMPLE_RATE:.3f} to {stop / SAMPLE_RATE:.3f} s"
        for start, stop in outside(speech, heard)
    ]


def decoded_twice(chunks: Sequence[ChunkTranscript]) -> list[str]:
    """Return where two chunks of a track have decoded the same audio: its words are there twice."""
    heard = sorted(
        (part.heard.start, part.heard.stop) for part in chunks if part.heard.start < part.heard.stop
    )
    return [
        f"two chunks have decoded {start / SAMPLE_RATE:.3f} to {stop / SAMPLE_RATE:.3f} s"
        for (_, stop), (start, _) in pairwise(heard)
        if start < stop
    ]
