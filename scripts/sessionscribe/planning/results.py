"""The files of a project: names, settings and records, read with few system calls."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sessionscribe.core import seal

KEY = 12  # hexadecimal digits


class Results:
    """The files below ``root``; all paths are relative to it. Listings are cached."""

    def __init__(self, root: Path) -> None:
        self._prefix = "" if root == Path() else f"{root}/"
        self._listed: dict[str, frozenset[str]] = {}

    def names(self, folder: str) -> frozenset[str]:
        """Return what is in a folder; hidden files are temporary and left out."""
        found = self._listed.get(folder)
        if found is None:
            try:
                found = frozenset(n for n in os.listdir(self._prefix + folder) if n[0] != ".")
            except (FileNotFoundError, NotADirectoryError):
                found = frozenset()
            self._listed[folder] = found
        return found

    def has(self, path: str) -> bool:
        """Return whether there is a file."""
        folder, _, name = path.rpartition("/")
        return name in self.names(folder)

    def noted(self, session: str) -> dict[str, str]:
        """Return the key of each step's settings file; none of a step that has several."""
        found: dict[str, str] = {}
        for name in self.names(f"results/settings/{session}"):
            step, key = step_and_key(name)
            found[step] = "" if step in found else key
        return found

    def forget(self) -> None:
        """Let go of the listings of single sessions' folders."""
        self._listed = {folder: found for folder, found in self._listed.items() if folder.count("/") < 2}

    def record(self, path: str) -> dict[str, Any]:
        """Return a job's record as it lies there; a missing or broken one is an empty one."""
        try:
            with open(self._prefix + path, "rb", buffering=0) as file:
                found = json.loads(seal.unsealed(file.read()))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def remove(self, path: str) -> None:
        """Remove a file if it is there."""
        Path(self._prefix + path).unlink(missing_ok=True)


def step_and_key(name: str) -> tuple[str, str]:
    """Return the step and the key in the name of a settings file: ``{step}.{key}.json``."""
    return name[: -KEY - 6], name[-KEY - 5 : -5]
