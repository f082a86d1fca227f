"""The contents of a published session."""

from __future__ import annotations

from sessionscribe.artifacts.base import Seconds, SessionArtifact
from sessionscribe.artifacts.chunk_transcript import Engine
from sessionscribe.artifacts.provenance import Output


class PackedFile(Output):
    """A file of the session."""

    pack: str
    """The file in the published folder that contains it."""


class Published(SessionArtifact):
    """The contents of a published session. ``results/publish/{session}/session.json``.

    It names no time, machine or person, so the same results are the same version.
    """

    schema_version: int = 2
    duration_s: Seconds
    language: str
    words: int
    speakers: int
    engines: list[Engine]
    diarization: str
    versions: dict[str, str]
    settings: dict[str, dict[str, object]]
    rows: list[dict[str, object]]
    """The session's rows of the manifest."""
    transcript: str
    """The file that is the finished transcript."""
    files: list[PackedFile]
    """The published files."""
    left_out: list[str]
    """Files that are too large: converted audio."""

    def place(self) -> list[str]:
        """Return nothing: its readers compare the session, with a hint of their own."""
        return []

    def file(self, path: str) -> PackedFile:
        """Return the entry of a file."""
        return next(found for found in self.files if found.path == path)
