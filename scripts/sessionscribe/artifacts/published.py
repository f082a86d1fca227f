"""What is published of a session: which files, packed how, made with what."""

from __future__ import annotations

from typing import ClassVar

from sessionscribe.artifacts.base import Seconds, SessionArtifact
from sessionscribe.artifacts.chunk_transcript import Engine
from sessionscribe.artifacts.provenance import Output


class PackedFile(Output):
    """A file of the session; ``pack`` is the file of the published folder that holds it."""

    pack: str
    """The file of the published folder that holds it."""


class Published(SessionArtifact):
    """The contents of a published session. ``results/publish/{session}/session.json``.

    It says nothing of the time, the machine or the person, so that the same results are the same version.
    ``settings`` are what the jobs were told, by stage; ``rows`` are the session's rows of the manifest.
    ``left_out`` are files that are too large to publish, which their records say may be absent.
    """

    VERSION: ClassVar[int] = 2
    OLDER: ClassVar[frozenset[int]] = frozenset({1})
    schema_version: int = 2
    duration_s: Seconds
    """Length of the session."""
    language: str
    """The language of most words."""
    words: int
    """How many."""
    speakers: int
    """How many."""
    engines: list[Engine]
    """What made the words."""
    diarization: str
    """What made the turns."""
    versions: dict[str, str]
    """Of packages and our code."""
    settings: dict[str, dict[str, object]]
    """Settings of all jobs, by stage."""
    rows: list[dict[str, object]]
    """The session's rows of the manifest."""
    transcript: str
    """Which file is the finished transcript."""
    files: list[PackedFile]
    """What is in it."""
    left_out: list[str]
    """Files that are not published: converted audio."""

    def file(self, path: str) -> PackedFile:
        """Return what is said about one of its files."""
        return next(found for found in self.files if found.path == path)
