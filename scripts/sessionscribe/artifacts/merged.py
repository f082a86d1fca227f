"""The chunks of a session as one, before speakers are known."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import model_validator

from sessionscribe.artifacts.base import Part, Seconds, SessionArtifact, without
from sessionscribe.artifacts.chunk_transcript import Engine, RemovedSegment, Word
from sessionscribe.artifacts.plan import Gap


class DroppedWord(Word):
    """A word that is not in the transcript; ``reason`` says why."""

    track: str
    chunk: int
    reason: str


class MergedWord(Word):
    """A word of the session and the track and chunk it comes from."""

    track: str
    chunk: int


class MergedSegment(Part):
    """Words of one track that belong together, before speakers are known."""

    track: str
    start: Seconds
    end: Seconds
    words: list[MergedWord]


class Merged(SessionArtifact):
    """All chunks of a session as one. ``results/merge/{session}.json``."""

    VERSION: ClassVar[int] = 3
    OLDER: ClassVar[frozenset[int]] = frozenset({1, 2})
    schema_version: int = 3
    duration_s: Seconds
    language: str
    segments: list[MergedSegment]
    dropped: list[DroppedWord]
    removed: list[RemovedSegment]
    gaps: list[Gap]
    chunks: int
    engines: list[Engine]

    @model_validator(mode="before")
    @classmethod
    def _without_seams(cls, content: Any) -> Any:
        """Leave out how chunks of earlier versions were joined."""
        return without(content, "seams")
