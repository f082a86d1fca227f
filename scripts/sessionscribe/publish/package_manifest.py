"""Where a published session lies, and which of its files may be written."""

from __future__ import annotations

import re

VOICE = re.compile(r"results/name/voices/[0-9a-f]{12}\.json")
FOLDER = "results/publish"
CONTENTS = "session.json"


def folder_of(session: str) -> str:
    """Return the folder that DVC tracks for a session."""
    return f"{FOLDER}/{session}"


def target_of(session: str) -> str:
    """Return the file by which git names a session's published version, as ``dvc pull`` takes it."""
    return f"{FOLDER}/{session}.dvc"


def is_shared(path: str) -> bool:
    """Return whether it is how an enrolled voice sounds: of a pulled one, only what is not here is taken."""
    return VOICE.fullmatch(path) is not None
