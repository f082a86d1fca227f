"""What a chunk job costs beyond its work: jobs with nothing to do, under the warm and the local executor.

    python benchmarks/overhead.py [--jobs N]

The cost of a job is the slope between a run of few jobs and one of many, so start and end of Snakemake and of
the worker do not count; all processes do. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BAR_MS = 10.0
SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
SNAKEFILE = """
rule all:
    input: expand("out/{i}.txt", i=range(config["jobs"]))

rule nothing:
    output: "out/{i}.txt"
    log: "log/{i}.log"
    benchmark: "bench/{i}.tsv"
    threads: 1
    resources: gpu=1
    params: settings=lambda wildcards: {"session": "s", "key": wildcards.i}
    script: "scripts/nothing.py"
"""
NOTHING = """
from pathlib import Path
from sessionscribe.jobs.job import job
made = {"text": snakemake.output[0]}
with job(snakemake.rule, snakemake.params.settings, log=snakemake.log[0], outputs=made):
    Path(snakemake.output[0]).touch()
"""


def run(executor: str, jobs: int) -> tuple[float, float]:
    """Run so many jobs in a folder of their own and return CPU and wall time in seconds."""
    with tempfile.TemporaryDirectory(prefix="overhead-") as scratch:
        folder = Path(scratch)
        (folder / "Snakefile").write_text(SNAKEFILE)
        (folder / "scripts").mkdir()
        (folder / "scripts/nothing.py").write_text(
            f"import sys; sys.path.insert(0, {str(SCRIPTS)!r})\n{NOTHING}"
        )
        how = ["--executor", executor, "--cores", "1", "--resources", "gpu=1", "--scheduler", "greedy"]
        how += ["--scheduler-subsample", "100"]  # as the profiles do
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "all",
            *how,
            "--config",
            f"jobs={jobs}",
            "--quiet",
            "all",
        ]
        before, began = _cpu(), time.monotonic()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return _cpu() - before, time.monotonic() - began


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def per_job_ms(executor: str, few: int, many: int) -> dict[str, float]:
    """Return what one more job costs, in milliseconds of CPU and of wall time."""
    low, high = run(executor, few), run(executor, many)
    cpu, wall = ((b - a) / (many - few) * 1000 for a, b in zip(low, high, strict=True))
    return {"cpu_ms": round(cpu, 2), "wall_ms": round(wall, 2)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=300, help="of the long run (default: 300)")
    jobs = parser.parse_args().jobs
    warm = per_job_ms("warm", jobs // 10, jobs)
    local = per_job_ms("local", jobs // 30, jobs // 6)
    print(json.dumps({"warm": warm, "local": local, "bar_cpu_ms": BAR_MS, "held": warm["cpu_ms"] <= BAR_MS}))


if __name__ == "__main__":
    main()
