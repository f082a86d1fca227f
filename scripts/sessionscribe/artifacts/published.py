"""What is published of a session: which files, packed how, made with what."""

from __future__ import annotations

from typing import ClassVar

from sessionscribe.artifacts.base import Seconds, SessionArtifact
from sessionscribe.artifacts.chunk_transcript import Engine
from sessionscribe.artifacts.provenance import Output


class PackedFile(Output):
    """A file of the session."""

    pack: str
    """The file of the published folder that contains it."""


class Published(SessionArtifact):
    """The contents of a published session. ``results/publish/{session}/session.json``.

    It says nothing about the time, the machine or the person: the same results are the same version.
    """

    VERSION: ClassVar[int] = 2
    OLDER: ClassVar[frozenset[int]] = frozenset({1})
    schema_version: int = 2
    duration_s: Seconds
    language: str
    words: int
    """How many."""
    speakers: int
    """How many."""
    engines: list[Engine]
    """What made the words."""
    diarization: str
    """What made the turns."""
    versions: dict[str, str]
    """Of packages and of our code."""
    settings: dict[str, dict[str, object]]
    """Settings of all jobs, by stage."""
    rows: list[dict[str, object]]
    """The session's rows of the manifest."""
    transcript: str
    """Which file is the finished transcript."""
    files: list[PackedFile]
    """What is in it."""
    left_out: list[str]
    """Files too large to be published: converted audio. Their records say that they may be absent."""

    def file(self, path: str) -> PackedFile:
        """Return what is said about one of its files."""
        return next(found for found in self.files if found.path == path)
