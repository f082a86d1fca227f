"""What lies in a project's folder: names, sizes, records and how files end; read with few system calls."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

# How a whole file ends, by its ending: our text with a bracket, a Zip with the end of its directory.
TAILS = {".json": (2, b"}\n"), ".npz": (22, b"PK\5\6")}


class Results:
    """The files below ``root``; all paths are relative to it."""

    def __init__(self, root: Path) -> None:
        self._prefix = "" if root == Path() else f"{root}/"

    def listing(self, folder: str) -> dict[str, int]:
        """Return name and size (bytes) of the files in a folder; hidden ones are temporary and left out."""
        try:
            with os.scandir(self._prefix + folder) as entries:
                return {
                    e.name: e.stat().st_size for e in entries if not e.name.startswith(".") and e.is_file()
                }
        except (FileNotFoundError, NotADirectoryError):
            return {}

    def size(self, path: str) -> int:
        """Return the size of a file in bytes, -1 if there is none."""
        try:
            return os.stat(self._prefix + path).st_size
        except OSError:
            return -1

    def record(self, path: str) -> dict[str, Any]:
        """Return a job's record as it lies there; a missing or broken one is an empty one."""
        try:
            with open(self._prefix + path, "rb", buffering=0) as file:
                found = json.loads(file.read())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def remove(self, path: str) -> None:
        """Remove a file if it is there."""
        Path(self._prefix + path).unlink(missing_ok=True)

    def is_whole(self, path: str, size: int) -> bool:
        """Return whether a file of ``size`` bytes ends as a whole one of its kind does."""
        length, wanted = TAILS[os.path.splitext(path)[1]]
        if size <= length:
            return False
        with open(self._prefix + path, "rb", buffering=0) as file:
            file.seek(-length, os.SEEK_END)
            return file.read(len(wanted)) == wanted
