"""Files against their records: is every file what the job that made it wrote?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from sessionscribe.core import seal
from sessionscribe.core.files import sha256
from sessionscribe.planning.steps import STAGES

ASIDE = Path("results/aside")


def verify(root: Path, session: str, *, quick: bool) -> tuple[list[str], list[str]]:
    """Compare a session's files with its records and their own checksums, and set aside what differs.

    The next run makes that again.

    Args:
        root: the project's folder.
        session: its name.
        quick: compare sizes only, not content.

    Returns:
        A line for each file that was set aside, and the files that neither a record nor a checksum of their
        own tells of.
    """
    claimed: dict[str, tuple[int, str]] = {}
    spoilt: dict[Path, str] = {}
    unrecorded = []
    for record in sorted((root / "results/provenance" / session).glob("*.json")):
        try:
            content = json.loads(seal.unsealed(record.read_bytes()))
            entries = [*content.get("inputs", ()), *content["outputs"]]
            claimed |= {entry["path"]: (entry["size"], entry["sha256"]) for entry in entries}
        except (ValueError, KeyError, TypeError, RecursionError):
            spoilt[record.relative_to(root)] = "is no record"
    for path in _files(root, session):
        size, checksum = claimed.get(path.as_posix(), (None, ""))
        if size is None:
            intact = _intact(root / path)
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
    """Return whether such a file may have neither a record nor, in older results, a checksum."""
    return path.name == "language.json" or path.parts[1] == "settings"


def _intact(path: Path) -> bool | None:
    """Return whether a file matches the checksum that it contains; None if it contains none."""
    data = path.read_bytes()
    try:
        return seal.unsealed(data) is not data or None
    except ValueError:
        return False


def _files(root: Path, session: str) -> Iterator[Path]:
    """Yield the files of a session that steps read and make, relative to the project's folder."""
    for stage in ("settings", *STAGES):
        folder = root / "results" / stage
        for path in sorted([*folder.glob(f"{session}.*"), *(folder / session).rglob("*")]):
            if path.is_file() and not path.name.startswith("."):
                yield path.relative_to(root)


def _set_aside(root: Path, path: Path) -> Path:
    """Move a file out of the way without overwriting earlier ones; return its new path."""
    wanted = ASIDE / path.relative_to("results")
    names = (wanted.with_name(f"{wanted.name}.{number}") if number else wanted for number in count())
    place = next(name for name in names if not (root / name).exists())
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / path).rename(root / place)
    return place
