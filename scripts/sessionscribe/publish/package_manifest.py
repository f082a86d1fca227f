"""What is published of a session: which files, packed how, made with what."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import ClassVar

from sessionscribe.artifacts.base import Part, Seconds, SessionArtifact
from sessionscribe.artifacts.chunk_transcript import Engine

FOLDER = "results/publish"
CONTENTS = "session.json"


def folder_of(session: str) -> str:
    """Return the folder that DVC tracks for a session."""
    return f"{FOLDER}/{session}"


def target_of(session: str) -> str:
    """Return the file by which git names a session's published version, as ``dvc pull`` takes it."""
    return f"{FOLDER}/{session}.dvc"


class PackedFile(Part):
    """A file of the session; ``pack`` is the file of the published folder that holds it."""

    path: str
    size: int
    sha256: str
    pack: str


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
    language: str
    words: int
    speakers: int
    engines: list[Engine]
    diarization: str
    versions: dict[str, str]
    settings: dict[str, dict[str, object]]
    rows: list[dict[str, object]]
    transcript: str
    files: list[PackedFile]
    left_out: list[str]

    def file(self, path: str) -> PackedFile:
        """Return what is said about one of its files."""
        return next(found for found in self.files if found.path == path)


def is_safe(path: str) -> bool:
    """Return whether a packed file may be written: below ``results``, and nowhere that is ours to keep."""
    parts = PurePosixPath(path).parts
    return (
        len(parts) > 2
        and parts[0] == "results"
        and parts[1] != "publish"
        and not any(part.startswith(".") or "\\" in part for part in parts)
        and path == "/".join(parts)
    )
