"""The chunks of tracks, and the positions of tracks in their session."""

from __future__ import annotations

import math
from typing import Literal

from sessionscribe.artifacts.base import Artifact, Part, Samples, SessionArtifact, older

CutKind = Literal["silence", "forced", "edge"]


class Span(Part):
    """The samples ``[start, stop)`` of a track."""

    start: Samples
    stop: Samples


class PlannedChunk(Part):
    """A chunk: the samples ``[start, stop)`` of its track."""

    index: int
    """The number of the chunk, from 0."""
    start: Samples
    stop: Samples
    start_cut: CutKind
    """Kind of its start: `silence`, `forced` (within speech) or `edge` (of the track)."""
    stop_cut: CutKind
    """Kind of its end."""

    _older = older("context_start", "context_stop")


class ChunkPlan(Artifact):
    """The chunks and the speech of a track. ``results/chunk/{session}/{track}.plan.json``."""

    session: str
    track: str
    samples: Samples
    cores: list[PlannedChunk]
    """The chunks, which tile the track."""
    speech: list[Span]
    """The detected speech."""

    _older = older("faint")


class TimelineTrack(Part):
    """The position of a track in its session."""

    track: str
    offset: Samples
    """The start of the track, in samples of the session."""
    samples: Samples
    speaker: str | None = None
    """The speaker of a multitrack session's track, else null."""


class Gap(Part):
    """Missing audio, in samples of the session."""

    start: Samples
    """The first missing sample."""
    stop: Samples
    reason: str
    """Why it is missing."""


class Timeline(SessionArtifact):
    """The positions of all tracks of a session. ``results/chunk/{session}.timeline.json``."""

    schema_version: int = 2
    samples: Samples
    tracks: list[TimelineTrack]
    """The position of each track."""
    gaps: list[Gap]


class Waveform(Artifact):
    """The waveform of a session, for the export `html`. ``results/export/{session}.waveform.json``."""

    session: str
    peaks: list[int]
    """The peak, 0 to 255, of each of 2,000 equal parts of the session."""


def chunk_count(duration_s: float, target_s: float) -> int:
    """Return the number of chunks of a track, given both lengths in seconds."""
    return max(1, round(duration_s / target_s)) if math.isfinite(duration_s) else 1
