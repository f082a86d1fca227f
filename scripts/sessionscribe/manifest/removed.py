"""Rows that the user has removed from the manifest: adding their folder again does not bring them back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from sessionscribe.core.files import write_text
from sessionscribe.manifest.manifest import Row

FILE = Path(".sessionscribe/added.json")
"""What `add` has written into each manifest: the checksum of every source."""


def read(root: Path, table: Path) -> dict[str, str]:
    """Return what was added to a manifest before, by source; what cannot be read is nothing."""
    return _read(root / FILE).get(str(table), {})


def note(root: Path, table: Path, rows: Iterable[Row]) -> None:
    """Remember the rows of a manifest with those that it had before."""
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
