"""Where a published session lies, and which of its files may be written."""

from __future__ import annotations

import re

from sessionscribe.planning.steps import STAGES

FOLDERS = {"settings", "provenance", *STAGES} - {"name"}
"""Where a session has a folder of its own; ``name`` has a single file of it."""
VOICE = re.compile(r"results/name/voices/[0-9a-f]{12}\.json")
MOST_BYTES = 255
"""What file systems allow a name."""
FOLDER = "results/publish"
CONTENTS = "session.json"


def folder_of(session: str) -> str:
    """Return the folder that DVC tracks for a session."""
    return f"{FOLDER}/{session}"


def target_of(session: str) -> str:
    """Return the file by which git names a session's published version, as ``dvc pull`` takes it."""
    return f"{FOLDER}/{session}.dvc"


def is_safe(path: str, session: str) -> bool:
    """Return whether a packed file may be written: it is a session's own, as its steps name theirs.

    Enrolled voices are all sessions'; see ``is_shared``.
    """
    parts = path.split("/")
    if not all(map(_is_name, parts)) or parts[0] != "results" or len(parts) < 3:
        return False
    _, stage, *names = parts
    in_folder = stage in FOLDERS and len(names) in (2, 3) and names[0] == session
    beside = stage in STAGES and len(names) == 1 and names[0].startswith(f"{session}.")
    return in_folder or beside or is_shared(path)


def is_shared(path: str) -> bool:
    """Return whether it is how an enrolled voice sounds: of a pulled one, only what is not here is taken."""
    return VOICE.fullmatch(path) is not None


def is_packable(name: str) -> bool:
    """Return whether a file of the published folder may be called so."""
    return all(map(_is_name, name.split("/")))


def _is_name(name: str) -> bool:
    """Return whether any file system can have a file of this name, and it is not hidden."""
    shown = name.isprintable() and "\\" not in name and not name.startswith(".")
    return bool(name) and shown and len(name.encode()) <= MOST_BYTES
