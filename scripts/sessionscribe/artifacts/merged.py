"""The merged chunks of a session, before speakers are assigned."""

from __future__ import annotations

from sessionscribe.artifacts.base import Part, Seconds, SessionArtifact, older
from sessionscribe.artifacts.chunk_transcript import Engine, RemovedSegment, Word
from sessionscribe.artifacts.plan import Gap


class MergedWord(Word):
    """A word with its track and chunk."""

    track: str
    chunk: int
    """Number of the chunk."""


class MergedSegment(Part):
    """Consecutive words of one track."""

    track: str
    start: Seconds
    end: Seconds
    words: list[MergedWord]


class Merged(SessionArtifact):
    """The merged chunks of a session. ``results/merge/{session}.json``."""

    schema_version: int = 4
    duration_s: Seconds
    language: str
    segments: list[MergedSegment]
    """Consecutive words of one track each."""
    removed: list[RemovedSegment]
    gaps: list[Gap]
    chunks: int
    engines: list[Engine]

    _older = older("seams", "dropped", shape="layout")  # chunks of earlier versions could overlap
