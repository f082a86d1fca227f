"""Where a published session lies, and which of its files may be written."""

from __future__ import annotations

from pathlib import PurePosixPath

FOLDER = "results/publish"
CONTENTS = "session.json"


def folder_of(session: str) -> str:
    """Return the folder that DVC tracks for a session."""
    return f"{FOLDER}/{session}"


def target_of(session: str) -> str:
    """Return the file by which git names a session's published version, as ``dvc pull`` takes it."""
    return f"{FOLDER}/{session}.dvc"


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
