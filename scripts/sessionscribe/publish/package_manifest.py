"""The place of a published session's package, and which of its files sessions share."""

from __future__ import annotations

import re

VOICE = re.compile(r"results/name/voices/[0-9a-f]{12}\.json")
FOLDER = "results/publish"
CONTENTS = "session.json"


def folder_of(session: str) -> str:
    """Return the folder of a session's package, which DVC tracks."""
    return f"{FOLDER}/{session}"


def target_of(session: str) -> str:
    """Return the file that names a session's version in Git, the argument of ``dvc pull``."""
    return f"{FOLDER}/{session}.dvc"


def is_shared(path: str) -> bool:
    """Return whether a file is the embedding of an enrolled voice, which a pulled session never replaces."""
    return VOICE.fullmatch(path) is not None
