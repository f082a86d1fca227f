"""How tracks are cut into chunks, and where they lie in their session."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

from pydantic import model_validator

from sessionscribe.artifacts.base import Artifact, Part, Samples, SessionArtifact, without

CutKind = Literal["silence", "forced", "edge"]


class Span(Part):
    """A half-open stretch ``[start, stop)`` of a track, in samples."""

    start: Samples
    """First sample."""
    stop: Samples
    """The sample after the last."""


class PlannedChunk(Part):
    """One chunk of a plan: ``[start, stop)`` of its track.

    ``start_cut`` and ``stop_cut`` say what is at either end: a cut in silence, one forced into speech, or
    the edge of the track.
    """

    index: int
    """Its number, from 0."""
    start: Samples
    """First sample."""
    stop: Samples
    """The sample after the last."""
    start_cut: CutKind
    """What is at its start: `silence`, `forced` (a cut in speech) or `edge` (of the track)."""
    stop_cut: CutKind
    """What is at its end."""

    @model_validator(mode="before")
    @classmethod
    def _without_context(cls, content: Any) -> Any:
        """Leave out what chunks of earlier versions decoded beyond their ends."""
        return without(content, "context_start", "context_stop")


class ChunkPlan(Artifact):
    """How a track is cut, and where it has speech. ``results/chunk/{session}/{track}.plan.json``.

    ``faint`` is where, outside ``speech``, somebody probably speaks, too. Old files lack it.
    """

    session: str
    track: str
    samples: Samples
    """Its length."""
    cores: list[PlannedChunk]
    """The chunks, which tile the track."""
    speech: list[Span]
    """Where there is speech."""
    faint: list[Span] = []
    """Where, outside `speech`, somebody probably speaks; it is not decoded (older files lack it)."""


class TimelineTrack(Part):
    """Where a track lies in its session. ``speaker`` is set where the track is one person's."""

    track: str
    offset: Samples
    """Where it begins in the session, in samples."""
    samples: Samples
    """Its length."""
    speaker: str | None = None
    """The one person it records, else null."""


class Gap(Part):
    """Audio that the session lacks, in samples of the session."""

    start: Samples
    """First missing sample."""
    stop: Samples
    """The sample after the last."""
    reason: str
    """Why it is missing."""


class Timeline(SessionArtifact):
    """The tracks of a session on one clock. ``results/chunk/{session}.timeline.json``."""

    VERSION: ClassVar[int] = 2
    OLDER: ClassVar[frozenset[int]] = frozenset({1})
    schema_version: int = 2
    samples: Samples
    """Length of the session."""
    tracks: list[TimelineTrack]
    """Where each track lies."""
    gaps: list[Gap]
    """Audio that is missing."""


class Waveform(Artifact):
    """How loud a session is, drawn in the export `html`. ``results/export/{session}.waveform.json``."""

    session: str
    peaks: list[int]
    """Loudest sample, 0 to 255, of each of 2,000 equal parts of the session."""


def chunk_count(duration_s: float, target_s: float) -> int:
    """Return how many chunks of about `target_s` seconds a track of `duration_s` seconds is cut into."""
    return max(1, round(duration_s / target_s)) if math.isfinite(duration_s) else 1
