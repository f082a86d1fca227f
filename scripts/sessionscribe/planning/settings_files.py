"""A job's settings: an input file whose name contains the key of all that determines the outputs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sessionscribe.core import errors, seal
from sessionscribe.core.errors import UserError
from sessionscribe.core.files import write_text
from sessionscribe.planning.results import step_and_key

SETTINGS = "results/settings/"


def read_settings(path: str) -> dict[str, Any]:
    """Return a job's settings; end the process with one line if the file is damaged."""
    try:
        found: dict[str, Any] = json.loads(seal.unsealed(Path(path).read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        hint = "Delete the file and run again: only its step and what depends on it is done again"
        errors.complain(UserError(f"cannot be read ({error})", where=path, hint=hint))
        sys.exit(1)
    return found


def write_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Write a job's settings to ``results/settings/{session}/{step}.{key}.json``.

    First the step's record goes, then its settings with other keys: whenever this is killed, the step is
    still due, and never has two settings files.
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
    """Return the text of a settings file."""
    return seal.sealed(json.dumps(settings, ensure_ascii=False, indent=1))


def drop_others(path: Path) -> None:
    """Remove a step's other settings files."""
    step, _ = step_and_key(path.name)
    for other in path.parent.glob("*.json"):
        if other != path and step_and_key(other.name)[0] == step:
            other.unlink(missing_ok=True)
