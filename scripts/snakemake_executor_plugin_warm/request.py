"""A Snakemake job as a request to a worker: which jobs can be one, and what it says."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

RESOURCE = "gpu"
LIMITS = (RESOURCE, "speech_model", "speaker_model")
"""Resources whose limits are about the models of this machine."""


def script_of(job: Any) -> Path | None:
    """Return the Python script of a job that a worker can run, else None.

    That is: a single job of a rule with `script: "….py"` in this file system, run as it is: no shadow folder,
    no environment of its own, no repeated benchmark.
    """
    return None if job.is_shadow or (job.benchmark_repeats or 1) != 1 else _script(job.rule)


def needs_model(job: Any) -> bool:
    """Return whether a job is one for the workers that keep models: its rule has the resource `gpu`."""
    return bool(job.resources.get(RESOURCE, 0))


@cache
def _script(rule: Any) -> Path | None:
    if not (isinstance(rule.script, str) and rule.script.endswith(".py") and "{" not in rule.script):
        return None
    path = Path(str(rule.basedir.get_path_or_uri(secret_free=True))) / rule.script
    return path.resolve() if path.is_file() else None


def request_for(job: Any, script: Path) -> dict[str, Any] | None:
    """Return what a worker is told of a job; None where JSON would not bring all of it across unchanged."""
    request = {
        "script": str(script),
        "rule": job.rule.name,
        "input": _named(job.input._plainstrings()),
        "output": _named(job.output._plainstrings()),
        "params": _named(job.params),
        "wildcards": _named(job.wildcards),
        "resources": _named(job.resources),
        "log": _named(job.log._plainstrings()),
        "threads": job.threads,
    }
    try:
        return request if json.loads(json.dumps(request)) == request else None
    except (TypeError, ValueError):
        return None


def _named(values: Any) -> list[list[Any]]:
    """Return a named list as pairs of name (or None) and value (a list where one name has many)."""
    pairs: Iterable[tuple[str | None, Any]] = values._allitems()
    return [[name, _plain(value)] for name, value in pairs]


def _plain(value: Any) -> Any:
    """Return Snakemake's marked strings and lists as plain ones; anything else as it is."""
    if isinstance(value, str):
        return str(value)
    # Exactly the lists of Snakemake: a tuple among the params must not come out as a list unseen.
    if hasattr(value, "_allitems"):
        return [_plain(part) for part in value]
    return value
