"""Reading the request of a job (docs/warm.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sessionscribe.jobs.job import MODELS, notes_of


def session_of(request: Mapping[str, Any]) -> str:
    """Return the session of a job; "" if it has none."""
    given = {name: value for name, value in (*request["wildcards"], *request["params"]) if name}
    settings = given.get("settings")
    return str(given.get("session") or (settings.get("session", "") if isinstance(settings, dict) else ""))


def paths_of(named: Sequence[Sequence[Any]]) -> list[str]:
    """Return all paths of a list of names and values."""
    return [path for _, value in named for path in (value if isinstance(value, list) else [value])]


def notes_for(request: Mapping[str, Any]) -> list[str]:
    """Return the paths of the records of a job's failure and of its usage."""
    log = next(iter(paths_of(request["log"])), "")
    return [path.as_posix() for path in notes_of(request["rule"], session_of(request) or MODELS, log)]


def on_device(device: str, value: Any) -> Any:
    """Return a JSON value with every ``device`` in it replaced, unless the new one is ""."""
    if isinstance(value, list) and device:
        return [on_device(device, part) for part in value]
    if isinstance(value, dict) and device:
        return {name: device if name == "device" else on_device(device, part) for name, part in value.items()}
    return value


def model_request(script: str, kind: str, model: str) -> dict[str, Any]:
    """Return the request for a script (``check_models``) to download a model from the hub."""
    return {
        "script": script,
        "rule": "check_models",
        "threads": 1,
        "params": [["models", {"speech": [], "diarization": [], kind: [model]}]],
        "output": [["report", "models.txt"]],
        "log": [[None, "models.log"]],
        **{name: [] for name in ("input", "wildcards", "resources")},
    }
