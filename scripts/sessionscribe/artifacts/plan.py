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
    stop: Samples


class PlannedChunk(Part):
    """One chunk of a plan: ``[start, stop)`` of its track.

    ``start_cut`` and ``stop_cut`` say what is at either end: a cut in silence, one forced into speech, or
    the edge of the track.
    """

    index: int
    start: Samples
    stop: Samples
    start_cut: CutKind
    stop_cut: CutKind

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
    cores: list[PlannedChunk]
    speech: list[Span]
    faint: list[Span] = []


class TimelineTrack(Part):
    """Where a track lies in its session. ``speaker`` is set where the track is one person's."""

    track: str
    offset: Samples
    samples: Samples
    speaker: str | None = None


class Gap(Part):
    """Audio that the session lacks, in samples of the session."""

    start: Samples
    stop: Samples
    reason: str


class Timeline(SessionArtifact):
    """The tracks of a session on one clock. ``results/chunk/{session}.timeline.json``."""

    VERSION: ClassVar[int] = 2
    OLDER: ClassVar[frozenset[int]] = frozenset({1})
    schema_version: int = 2
    samples: Samples
    tracks: list[TimelineTrack]
    gaps: list[Gap]


def chunk_count(duration_s: float, target_s: float) -> int:
    """Return how many chunks of about `target_s` seconds a track of `duration_s` seconds is cut into."""
    return max(1, round(duration_s / target_s)) if math.isfinite(duration_s) else 1
