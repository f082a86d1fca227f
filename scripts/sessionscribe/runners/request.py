"""What a job's request (docs/warm.md) says of the job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sessionscribe.runtime import notes_of


def task_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task among a request's parameters; an empty one where there is none."""
    tasks = (value for name, value in request["params"] if name == "task" and isinstance(value, dict))
    return next(tasks, {})


def paths_of(named: Sequence[Sequence[Any]]) -> list[str]:
    """Return all paths of a named list."""
    return [path for _, value in named for path in (value if isinstance(value, list) else [value])]


def notes_for(request: Mapping[str, Any]) -> list[str]:
    """Return where a job notes its failure, and what it used."""
    log = next(iter(paths_of(request["log"])), "")
    return [path.as_posix() for path in notes_of(request["rule"], task_of(request), log)]


def on_device(device: str, value: Any) -> Any:
    """Return a plain value in which every setting ``device`` is this one; as it is where that is ""."""
    if isinstance(value, list) and device:
        return [on_device(device, part) for part in value]
    if isinstance(value, dict) and device:
        return {name: device if name == "device" else on_device(device, part) for name, part in value.items()}
    return value
