"""A Snakemake job as a request to a worker: which jobs can be one, and what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_warm import inside
from snakemake_executor_plugin_warm.inside import named

RESOURCE = "gpu"
LIMITS = (RESOURCE, "speech_model", "speaker_model")
"""Resources whose limits are about the models of this machine."""


def script_of(job: Any) -> Path | None:
    """Return the Python script of a job that a worker can run, else None.

    That is: a single job of a rule with `script: "….py"` in this file system, run as it is: no shadow folder,
    no environment of its own, no repeated benchmark.
    """
    return inside.script_path(job.rule) if inside.runs_as_it_is(job) else None


def needs_model(job: Any) -> bool:
    """Return whether a job is one for the workers that keep models: its rule has the resource `gpu`."""
    return bool(job.resources.get(RESOURCE, 0))


def request_for(job: Any, script: Path) -> dict[str, Any] | None:
    """Return a job as a request to a worker; None if JSON would change any of it."""
    request = {
        "script": str(script),
        "rule": job.rule.name,
        "input": named(job.input, files=True),
        "output": named(job.output, files=True),
        "params": named(job.params),
        "wildcards": named(job.wildcards),
        "resources": named(job.resources),
        "log": named(job.log, files=True),
        "threads": job.threads,
    }
    try:
        return request if json.loads(json.dumps(request)) == request else None
    except (TypeError, ValueError):
        return None
