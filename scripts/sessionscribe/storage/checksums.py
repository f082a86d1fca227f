"""Cached checksums of local files: hours of recordings are gigabytes to read."""

from __future__ import annotations

import json
import time
from pathlib import Path

from sessionscribe.core.files import sha256, write_text

FILE = Path(".sessionscribe/checksums.json")
"""Those of recordings, below the project's folder."""
SETTLED_S = 2.0
"""A file that changed more recently than this may change again without changing its time."""


class Checksums:
    """SHA-256 of files by path, size and time, cached in a file that may be deleted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = False
        try:
            self._known: dict[str, list[int | str]] = json.loads(path.read_bytes())
        except (OSError, ValueError):
            self._known = {}

    def sha256(self, path: Path) -> str:
        """Return the SHA-256 of a file's content.

        Raises:
            OSError: it cannot be read.
        """
        status = path.stat()
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        key = str(path.resolve())
        known = self._known.get(key)
        if known is not None and known[:-1] == stamp:
            return str(known[-1])
        digest = sha256(path)
        if time.time() - status.st_mtime > SETTLED_S:
            self._known[key] = [*stamp, digest]
            self._changed = True
        return digest

    def write(self) -> None:
        """Write new checksums to the cache file."""
        if self._changed:
            write_text(self._path, json.dumps(self._known))
            self._changed = False
