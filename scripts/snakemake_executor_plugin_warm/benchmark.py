"""A job's benchmark file, as Snakemake writes it for a process of its own."""

from __future__ import annotations

from typing import Any

from snakemake.benchmark import BenchmarkRecord, write_benchmark_records

MIB = 1 << 20


def write_benchmark(path: str, job: Any, usage: dict[str, float], *, extended: bool) -> None:
    """Write the benchmark file of a job that a worker ran; ``usage`` is the worker's (seconds, bytes).

    Memory is the whole worker's, its models included.
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
    write_benchmark_records([record], path, extended)
