"""What the executor uses of Snakemake that is not a published interface, and why; nothing else here does.

The executor also relies on its base class, Snakemake's local executor (`run_single_job`, `cached_or_run`,
`pool`, `workers`), and on `SpawnedJobError`, which fails a job without another message. Snakemake's version
is pinned, and tests/workflow/test_warm.py and test_ssh.py run real workflows.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from snakemake.benchmark import BenchmarkRecord, write_benchmark_records

MIB = 1 << 20
LISTS = ("input", "output", "params", "wildcards", "resources", "log")


def limit(workflow: Any, resource: str) -> int:
    """Return the limit of a resource (`--resources`): more workers would have nothing to do."""
    found = workflow.global_resources.get(resource)
    return found.value if found is not None and isinstance(found.value, int) else 1


def cores(workflow: Any) -> int:
    """Return `--cores`: the number of workers for jobs without a model."""
    return workflow.resource_settings.cores or 1


def jobs_to_run(dag: Any) -> list[Any]:
    """Return all jobs of the run: the GPU is released after the last one that needs a model."""
    return list(dag.needrun_jobs())


def lift_rate_limit(workflow: Any) -> None:
    """Remove the scheduler's default limit of 100 jobs per second, which no option can switch off.

    It makes the scheduler repeat every step one second later, and each repetition triggers more: after some
    thousand jobs, it does nothing else.
    """
    scheduler = workflow.scheduler
    scheduler.job_rate_limiter = None
    scheduler.resources["_job_count"] = sys.maxsize


def make_room(workflow: Any, more: Mapping[str, int]) -> None:
    """Let the scheduler exceed `--cores` and `--resources` by what other machines offer."""
    available = workflow.scheduler.resources
    for name, count in more.items():
        if name in available:
            available[name] += count
    workflow.scheduler._open_jobs.release()  # wake it up


def script_of(job: Any) -> Path | None:
    """Return the script of a job that a worker can run, or None.

    Workers run local Python scripts, without a shadow folder and without repeated benchmarks.
    """
    return None if job.is_shadow or (job.benchmark_repeats or 1) > 1 else _script_path(job.rule)


@cache
def _script_path(rule: Any) -> Path | None:
    if not (isinstance(rule.script, str) and rule.script.endswith(".py") and "{" not in rule.script):
        return None
    path = Path(str(rule.basedir.get_path_or_uri(secret_free=True))) / rule.script
    return path.resolve() if path.is_file() else None


def request_for(job: Any, script: Path) -> dict[str, Any] | None:
    """Return the request to a worker to run a job, or None if JSON would change any part of it."""
    request = {
        "script": str(script),
        "rule": job.rule.name,
        "threads": job.threads,
        **{name: [[key, _plain(v)] for key, v in getattr(job, name)._allitems()] for name in LISTS},
    }
    try:
        return request if json.loads(json.dumps(request)) == request else None
    except (TypeError, ValueError):
        return None


def _plain(value: Any) -> Any:
    """Return Snakemake's strings and lists as plain ones, and other values unchanged."""
    if isinstance(value, str):
        return str(value)
    # Only Snakemake's own lists: JSON would silently turn a tuple among the params into a list.
    if hasattr(value, "_allitems"):
        return [_plain(part) for part in value]
    return value


def write_benchmark(job: Any, usage: Mapping[str, Any], *, extended: bool) -> None:
    """Write a job's benchmark file like Snakemake, from what its worker reported (seconds, bytes)."""
    record = BenchmarkRecord(
        running_time=max(usage["wall_s"], 1e-6),
        max_rss=usage["max_rss"] and usage["max_rss"] / MIB,  # of the whole worker
        cpu_usage=usage["cpu_s"] * 100,  # percent times seconds, as Snakemake counts it
        cpu_time=usage["cpu_s"],
    )
    # Its constructor would wrap these in tuples, which it cannot write.
    record.jobid, record.rule_name, record.threads = job.jobid, job.rule.name, job.threads
    record.wildcards, record.params, record.resources = job.wildcards, job.params, job.resources
    record.input, record.data_collected = job.input, True
    write_benchmark_records([record], str(job.benchmark), extended)
