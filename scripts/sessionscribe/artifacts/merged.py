"""The chunks of a session as one, before speakers are known."""

from __future__ import annotations

from typing import ClassVar

from sessionscribe.artifacts.base import Part, Seconds, SessionArtifact, older
from sessionscribe.artifacts.chunk_transcript import Engine, RemovedSegment, Word
from sessionscribe.artifacts.plan import Gap


class MergedWord(Word):
    """A word of the session and the track and chunk it comes from."""

    track: str
    chunk: int
    """Number of the chunk."""


class MergedSegment(Part):
    """Words of one track that belong together."""

    track: str
    start: Seconds
    end: Seconds
    words: list[MergedWord]


class Merged(SessionArtifact):
    """All chunks of a session as one. ``results/merge/{session}.json``."""

    VERSION: ClassVar[int] = 4
    OLDER: ClassVar[frozenset[int]] = frozenset({1, 2, 3})
    schema_version: int = 4
    duration_s: Seconds
    language: str
    segments: list[MergedSegment]
    """Words of one track that belong together."""
    removed: list[RemovedSegment]
    """What hallucination filters removed."""
    gaps: list[Gap]
    chunks: int
    """Number of chunks."""
    engines: list[Engine]
    """The distinct engines that decoded them."""

    _older = older("seams", "dropped", shape="layout")  # chunks of earlier versions could overlap
