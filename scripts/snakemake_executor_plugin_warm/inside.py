"""What the executor uses of Snakemake that is no published interface, and why; nothing else here does.

It also builds on its base class, Snakemake's local executor (`run_single_job`, `cached_or_run`, `pool`,
`workers`), and on the error that ends a job which has said what is wrong (`SpawnedJobError`). The version of
Snakemake is pinned; tests/workflow/test_warm.py and test_ssh.py run real workflows through all of this.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from snakemake.benchmark import BenchmarkRecord, write_benchmark_records

MIB = 1 << 20


def limit(workflow: Any, resource: str) -> int:
    """Return how much of a resource (`--resources`) jobs may use at once: more workers are of no use."""
    found = workflow.global_resources.get(resource)
    return found.value if found is not None and isinstance(found.value, int) else 1


def cores(workflow: Any) -> int:
    """Return `--cores`: as many jobs without a model run at once, each in a worker."""
    return workflow.resource_settings.cores or 1


def jobs_to_run(dag: Any) -> list[Any]:
    """Return the jobs of a run: after the last one with a model the GPU is given back, not at the end."""
    return list(dag.needrun_jobs())


def lift_rate_limit(workflow: Any) -> None:
    """Take back the scheduler's default limit of 100 jobs a second.

    It makes the scheduler look again one second after every look, each of these for good: some thousand jobs
    later it does nothing else. There is no option for no limit.
    """
    scheduler = workflow.scheduler
    scheduler.job_rate_limiter = None
    scheduler.resources["_job_count"] = sys.maxsize


def make_room(workflow: Any, more: Mapping[str, int]) -> None:
    """Let the scheduler give away more than `--cores` and `--resources` allow: what other machines have."""
    available = workflow.scheduler.resources
    for name, count in more.items():
        if name in available:
            available[name] += count
    workflow.scheduler._open_jobs.release()  # let it look again


def runs_as_it_is(job: Any) -> bool:
    """Return whether a job needs no shadow folder and no repeated benchmark, which a worker cannot give."""
    return not job.is_shadow and (job.benchmark_repeats or 1) == 1


@cache
def script_path(rule: Any) -> Path | None:
    """Return the Python script of a rule in this file system, else None."""
    if not (isinstance(rule.script, str) and rule.script.endswith(".py") and "{" not in rule.script):
        return None
    path = Path(str(rule.basedir.get_path_or_uri(secret_free=True))) / rule.script
    return path.resolve() if path.is_file() else None


def named(values: Any, *, files: bool = False) -> list[list[Any]]:
    """Return one of a job's lists as pairs of name (or None) and value (a list where one name has many)."""
    pairs: Iterable[tuple[str | None, Any]] = (values._plainstrings() if files else values)._allitems()
    return [[name, _plain(value)] for name, value in pairs]


def _plain(value: Any) -> Any:
    """Return Snakemake's marked strings and lists as plain ones; anything else as it is."""
    if isinstance(value, str):
        return str(value)
    # Exactly the lists of Snakemake: a tuple among the params must not come out as a list unseen.
    if hasattr(value, "_allitems"):
        return [_plain(part) for part in value]
    return value


def write_benchmark(job: Any, usage: Mapping[str, float], *, extended: bool) -> None:
    """Write the benchmark file of a job that a worker ran, as Snakemake does for a process of its own.

    `usage` is the worker's (seconds, bytes). Memory is the whole worker's, its models included.
    """
    record = BenchmarkRecord(
        jobid=job.jobid,
        rule_name=job.rule.name,
        wildcards=job.wildcards,
        params=job.params,
        resources=job.resources,
        threads=job.threads,
        input=job.input,
        running_time=max(usage["wall_s"], 1e-6),
        max_rss=usage["max_rss"] / MIB,
        max_vms=usage["max_vms"] / MIB,
        cpu_usage=usage["cpu_s"] * 100,  # percent times seconds, as Snakemake counts it
        cpu_time=usage["cpu_s"],
    )
    record.max_uss = record.max_pss = record.max_rss
    record.io_in, record.io_out = usage["read"] / MIB, usage["written"] / MIB
    record.data_collected = True
    write_benchmark_records([record], str(job.benchmark), extended)
