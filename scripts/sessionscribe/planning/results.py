"""The files of a project: names, settings files and records."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sessionscribe.core import errors, seal
from sessionscribe.core.errors import UserError
from sessionscribe.core.files import write_text

SETTINGS = "results/settings/"
KEY = 12
"""Hexadecimal digits of a key."""


class Results:
    """The files below ``root``; all paths are relative to it. Listings are cached."""

    def __init__(self, root: Path) -> None:
        self._prefix = "" if root == Path() else f"{root}/"
        self._listed: dict[str, frozenset[str]] = {}

    def names(self, folder: str) -> frozenset[str]:
        """Return the names in a folder, without hidden (temporary) files."""
        found = self._listed.get(folder)
        if found is None:
            try:
                found = frozenset(n for n in os.listdir(self._prefix + folder) if n[0] != ".")
            except (FileNotFoundError, NotADirectoryError):
                found = frozenset()
            self._listed[folder] = found
        return found

    def has(self, path: str) -> bool:
        """Return whether a file exists."""
        folder, _, name = path.rpartition("/")
        return name in self.names(folder)

    def noted(self, session: str) -> dict[str, str]:
        """Return the key in the name of each step's settings file; "" for a step that has several."""
        found: dict[str, str] = {}
        for name in self.names(f"{SETTINGS}{session}"):
            step, key = step_and_key(name)
            found[step] = "" if step in found else key
        return found

    def forget(self) -> None:
        """Drop the listings of single sessions' folders."""
        self._listed = {folder: found for folder, found in self._listed.items() if folder.count("/") < 2}

    def record(self, path: str) -> dict[str, Any]:
        """Return a JSON file's content without checking it; {} if it is missing or damaged."""
        try:
            with open(self._prefix + path, "rb", buffering=0) as file:
                found = seal.read_json(file.read())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def remove(self, path: str) -> None:
        """Remove a file if it exists."""
        Path(self._prefix + path).unlink(missing_ok=True)


def step_and_key(name: str) -> tuple[str, str]:
    """Return the step and the key in the name of a settings file: ``{step}.{key}.json``."""
    return name[: -KEY - 6], name[-KEY - 5 : -5]


def read_settings(path: str) -> dict[str, Any]:
    """Return a job's settings; end the process with one line if the file is damaged."""
    try:
        found: dict[str, Any] = seal.read_json(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        hint = "Delete the file and run again: only its step and what depends on it is done again"
        errors.complain(UserError(f"cannot be read ({error})", where=path, hint=hint))
        sys.exit(1)
    return found


def write_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Write a job's settings to ``results/settings/{session}/{step}.{key}.json``.

    The step's record and its settings files with other keys are removed first. So if this is killed, the step
    is still due and never has two settings files.
    """
    step, _ = step_and_key(path.name)
    (path.parents[2] / "provenance" / path.parent.name / f"{step}.json").unlink(missing_ok=True)
    drop_others(path)
    write_text(path, settings_text(settings))


def renew_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Rewrite an existing settings file if its content differs."""
    text = settings_text(settings)
    if path.read_bytes() != text.encode():
        write_text(path, text)


def settings_text(settings: Mapping[str, Any]) -> str:
    """Return the content of a settings file."""
    return seal.sealed(json.dumps(settings, ensure_ascii=False, indent=1))


def drop_others(path: Path) -> None:
    """Remove the settings files of the same step with other keys."""
    step, _ = step_and_key(path.name)
    for other in path.parent.glob("*.json"):
        if other != path and step_and_key(other.name)[0] == step:
            other.unlink(missing_ok=True)
