"""Where published sessions are in a clone, and what it knows: their version, and the remotes that have it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sessionscribe.artifacts.base import Part
from sessionscribe.core import files

FOLDER = "results/publish"
CONTENTS = "session.json"
VOICE = re.compile(r"results/name/voices/[0-9a-f]{12}\.json")
STATES = f"{FOLDER}/.here"
LOCK = f"{FOLDER}/.publish.lock"
"""Held by the process that publishes, pulls or unpacks."""


def folder_of(session: str) -> str:
    """Return the folder of a session's package, which DVC tracks."""
    return f"{FOLDER}/{session}"


def target_of(session: str) -> str:
    """Return the file that names a session's version in Git, the argument of ``dvc pull``."""
    return f"{FOLDER}/{session}.dvc"


def is_shared(path: str) -> bool:
    """Return whether a file is the embedding of an enrolled voice, which a pulled session never replaces."""
    return VOICE.fullmatch(path) is not None


class FileStat(Part):
    """A file's checksum, and the size and time that show that it is still valid."""

    size: int
    mtime_ns: int
    sha256: str


class State(Part):
    """A session as last published or pulled in this clone. ``results/publish/.here/{session}.json``.

    ``version`` is its name in DVC ("": not known yet), ``base`` the version in Git when it was packed, and
    ``sent`` the remotes that have it. The file gets the time of the package's manifest.
    """

    version: str
    base: str = ""
    sent: tuple[str, ...] = ()
    files: dict[str, FileStat]

    def store(self, root: Path, session: str) -> None:
        """Write it, with the time of the package's manifest."""
        path = root / STATES / f"{session}.json"
        files.write_text(path, self.model_dump_json() + "\n")
        about = (root / folder_of(session) / CONTENTS).stat().st_mtime_ns
        os.utime(path, ns=(about, about))


def load(root: Path, session: str) -> State | None:
    """Return the state of a session; None if there is none."""
    path = root / STATES / f"{session}.json"
    try:
        return State.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None  # missing, or damaged by a power cut


def is_known(root: Path, session: str) -> bool:
    """Return whether a session's package is here and is the one that this clone knows."""
    try:
        contents = os.stat(f"{root}/{folder_of(session)}/{CONTENTS}")
        return contents.st_mtime_ns == os.stat(f"{root}/{STATES}/{session}.json").st_mtime_ns
    except OSError:
        return False


def unknown(root: Path) -> list[str]:
    """Return the sessions whose package is here but is not the one that this clone knows."""
    folder = root / FOLDER
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    here = (name for name in names if name[0] != "." and os.path.isfile(f"{folder}/{name}/{CONTENTS}"))
    return [name for name in here if not is_known(root, name)]


def seen(path: Path, digest: str) -> FileStat:
    """Return the note of a file with a known checksum."""
    found = path.stat()
    return FileStat(size=found.st_size, mtime_ns=found.st_mtime_ns, sha256=digest)


def changed(root: Path, state: State) -> list[str]:
    """Return the files that have changed since they were published or pulled."""
    return [
        path
        for path, before in state.files.items()
        if digest(root, path, before) not in (None, before.sha256)
    ]


def digest(root: Path, path: str, before: FileStat | None) -> str | None:
    """Return the SHA-256 of a file, unread if it still matches ``before``; None if it is absent."""
    try:
        found = (root / path).stat()
    except OSError:
        return None
    if before and (found.st_size, found.st_mtime_ns) == (before.size, before.mtime_ns):
        return before.sha256
    return files.sha256(root / path)
