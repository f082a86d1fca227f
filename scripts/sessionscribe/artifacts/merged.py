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
    """Its number."""
    reason: str
    """Why it is not in the transcript."""


class MergedWord(Word):
    """A word of the session and the track and chunk it comes from."""

    track: str
    chunk: int
    """Number of the chunk it comes from."""


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
    """Length of the session."""
    language: str
    """The language of most words."""
    segments: list[MergedSegment]
    """Words of one track that belong together."""
    dropped: list[DroppedWord]
    """Words that are not in the transcript."""
    removed: list[RemovedSegment]
    """What hallucination filters took out."""
    gaps: list[Gap]
    """Audio that is missing."""
    chunks: int
    """Number of chunks."""
    engines: list[Engine]
    """The distinct engines that decoded them."""

    @model_validator(mode="before")
    @classmethod
    def _without_seams(cls, content: Any) -> Any:
        """Leave out how chunks of earlier versions were joined."""
        return without(content, "seams")
