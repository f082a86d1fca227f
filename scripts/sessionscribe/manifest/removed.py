"""Remembers added recordings, so that rows that the user removed are not added again with their folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from sessionscribe.core.files import write_text
from sessionscribe.manifest.manifest import Row

FILE = Path(".sessionscribe/added.json")
"""The checksum of every source that was ever added, by manifest."""


def read(root: Path, table: Path) -> dict[str, str]:
    """Return the checksums of all sources that were ever added to a manifest; {} if they cannot be read."""
    return _read(root / FILE).get(str(table), {})


def note(root: Path, table: Path, rows: Iterable[Row]) -> None:
    """Remember the rows of a manifest."""
    every = _read(root / FILE)
    known = every.setdefault(str(table), {})
    found = {row.source: row.checksum for row in rows if row.checksum}
    if not found.items() <= known.items():
        every[str(table)] = known | found
        write_text(root / FILE, json.dumps(every, ensure_ascii=False) + "\n")


def _read(path: Path) -> dict[str, dict[str, str]]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and all(isinstance(part, dict) for part in found.values()) else {}
