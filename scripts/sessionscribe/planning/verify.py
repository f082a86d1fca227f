"""Compares files with the records of the jobs that made them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from sessionscribe.core import seal
from sessionscribe.core.files import sha256
from sessionscribe.planning.session_files import is_safe
from sessionscribe.planning.steps import STAGES

ASIDE = Path("results/aside")


def verify(root: Path, session: str, *, quick: bool) -> tuple[list[str], list[str]]:
    """Compare a session's files with its records and their own checksums, and set aside those that differ.

    The next run makes these again.

    Args:
        root: the project's folder.
        session: the session's name.
        quick: compare only sizes.

    Returns:
        A line for each file that was set aside, and the files that have neither a record nor a checksum.
    """
    claimed: dict[str, tuple[int, str]] = {}
    spoilt: dict[Path, str] = {}
    unrecorded = []
    for record in sorted((root / "results/provenance" / session).glob("*.json")):
        try:
            content = seal.read_json(record.read_bytes())
            entries = [*content.get("inputs", ()), *content["outputs"]]
            if not all(is_safe(entry["path"], session) for entry in content["outputs"]):
                raise ValueError
            claimed |= {entry["path"]: (entry["size"], entry["sha256"]) for entry in entries}
        except (ValueError, KeyError, TypeError, AttributeError):
            spoilt[record.relative_to(root)] = f"is no record of {session}"
    for path in _files(root, session):
        size, checksum = claimed.get(path.as_posix(), (None, ""))
        if not (root / path).is_file():
            if size is not None or path.parts[1] != "export":
                spoilt[path] = "is no file"
        elif size is None:
            intact = _intact(root, path, session)
            if intact is None and not _may_lack_both(path):
                unrecorded.append(path.as_posix())
            elif intact is False and not quick:
                spoilt[path] = "has another content"
        elif (now := (root / path).stat().st_size) != size:
            spoilt[path] = f"has {now} bytes, not {size}"
        elif not quick and sha256(root / path) != checksum:
            spoilt[path] = "has another content"
    lines = [f"{path}: {what}; set aside as {_set_aside(root, path)}" for path, what in spoilt.items()]
    return lines, unrecorded


def _may_lack_both(path: Path) -> bool:
    """Return whether such a file may have neither a record nor, from commit 54d02dc, a checksum."""
    return path.name == "language.json" or path.parts[1] == "settings"


def _intact(root: Path, path: Path, session: str) -> bool | None:
    """Return whether a file matches the checksum in it and is of this session; None if it has no checksum."""
    try:
        if path.suffix == ".npz":
            with zipfile.ZipFile(root / path) as archive:
                return archive.testzip() is None
        data = (root / path).read_bytes()
        has_checksum = seal.unsealed(data) is not data
        if has_checksum or (path.suffix == ".json" and path.parts[1] != "export"):
            is_ours = seal.read_json(data).get("session", session) == session
            return (has_checksum or None) if is_ours else False
    except (ValueError, AttributeError, zipfile.BadZipFile, zlib.error):
        return False
    return None


def _files(root: Path, session: str) -> Iterator[Path]:
    """Yield the paths of a session's files, and of folders and broken links in place of files."""
    for stage in ("settings", *STAGES):
        folder = root / "results" / stage
        for path in sorted([*folder.glob(f"{session}.*"), *(folder / session).rglob("*")]):
            if not path.name.startswith(".") and (path.suffix or path.is_file()):
                yield path.relative_to(root)


def _set_aside(root: Path, path: Path) -> Path:
    """Move a file to ``ASIDE`` under an unused name; return its new path."""
    wanted = ASIDE / path.relative_to("results")
    names = (wanted.with_name(f"{wanted.name}.{number}") if number else wanted for number in count())
    place = next(name for name in names if not (root / name).exists())
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / path).rename(root / place)
    return place
