"""How tracks are cut into chunks, and where they lie in their session."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from sessionscribe.artifacts.base import Artifact, Part, Samples, SessionArtifact, older

CutKind = Literal["silence", "forced", "edge"]


class Span(Part):
    """A half-open stretch ``[start, stop)`` of a track, in samples."""

    start: Samples
    """The first sample."""
    stop: Samples


class PlannedChunk(Part):
    """One chunk of a plan: ``[start, stop)`` of its track."""

    index: int
    """Its number, from 0."""
    start: Samples
    """The first sample."""
    stop: Samples
    start_cut: CutKind
    """What is at its start: `silence`, `forced` (a cut in speech) or `edge` (of the track)."""
    stop_cut: CutKind
    """What is at its end."""

    _older = older("context_start", "context_stop")  # what was decoded beyond its ends


class ChunkPlan(Artifact):
    """How a track is cut, and where it has speech. ``results/chunk/{session}/{track}.plan.json``."""

    session: str
    track: str
    samples: Samples
    cores: list[PlannedChunk]
    """The chunks, which tile the track."""
    speech: list[Span]
    """Where there is speech."""

    _older = older("faint")  # speech that was not decoded


class TimelineTrack(Part):
    """Where a track lies in its session."""

    track: str
    offset: Samples
    """Where it begins in the session, in samples."""
    samples: Samples
    speaker: str | None = None
    """The speaker, if the track records only one person; else null."""


class Gap(Part):
    """Audio that the session lacks, in samples of the session."""

    start: Samples
    """The first missing sample."""
    stop: Samples
    reason: str
    """Why it is missing."""


class Timeline(SessionArtifact):
    """The tracks of a session on one clock. ``results/chunk/{session}.timeline.json``."""

    VERSION: ClassVar[int] = 2
    OLDER: ClassVar[frozenset[int]] = frozenset({1})
    schema_version: int = 2
    samples: Samples
    tracks: list[TimelineTrack]
    """Where each track lies."""
    gaps: list[Gap]


class Waveform(Artifact):
    """How loud a session is, drawn in the export `html`. ``results/export/{session}.waveform.json``."""

    session: str
    peaks: list[int]
    """The loudest sample, 0 to 255, of each of 2,000 equal parts of the session."""


def chunk_count(duration_s: float, target_s: float) -> int:
    """Return how many chunks of about `target_s` seconds a track of `duration_s` seconds is cut into."""
    return max(1, round(duration_s / target_s)) if math.isfinite(duration_s) else 1
