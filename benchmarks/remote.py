"""What it costs that a job runs on another machine: time per chunk, and bytes moved for bytes needed.

    .venv/bin/python benchmarks/remote.py [--minutes 20] [--folder DIR]

The other machine is this one, behind an sshd that is started for it (as root; Debian: openssh-server, rsync),
so the network costs nothing and what is left is ours. Prints JSON.

- ``per_job_ms``: jobs that sleep, one after the other: what each takes longer there than here. The files
  of the next one travel meanwhile. ``alone_ms`` is the same where each job waits for the one before. Each
  reads a megabyte of its own, and makes 50 KB.
- ``moved_over_needed``: all chunks of a recording; ``one_chunk_moved_over_needed``: only one is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import DIARIZATION_MODEL, ROOT, SPEECH_MODEL, make_project, make_recording, run_pipeline

sys.path.insert(0, str(ROOT / "tests"))

from sshd import Host, started

JOBS, SLEEP_S = 30, 0.3
INPUT = 1_000_000
"""Bytes that a job reads: so many have two minutes of speech."""
SNAKEFILE = f"""
rule all:
    input: [f"out/{{i}}.json" for i in range({JOBS})]

rule nap:
    input: "in/{{i}}.bin", lambda w: f"out/{{int(w.i) - 1}}.json" if config.get("chain") and int(w.i) else []
    output: "out/{{i}}.json"
    log: "log/{{i}}.log"
    resources: gpu=1
    params: task={{}}
    script: "scripts/nap.py"
"""
NAP = f"""
import json, time
began = time.time()
time.sleep({SLEEP_S})
with open(snakemake.output[0], "w") as file:
    json.dump([began, time.time(), "x" * 50_000], file)
"""


def arguments(host: Host) -> list[str]:
    """Return the options that let jobs run on a host."""
    runner = ["--warm-runner", f"ssh:{host.name}", "--warm-ssh-config", str(host.config)]
    return [*runner, "--warm-remote-python", sys.executable]


@contextmanager
def host(folder: Path) -> Iterator[Host]:
    """Have a machine that nothing was brought to yet."""
    with tempfile.TemporaryDirectory(dir=folder) as own, started(Path(own)) as found:
        yield found


def nap(folder: Path, *options: str) -> float:
    """Return the seconds from the first job's begin to the last one's end, per job, without their sleep."""
    shutil.rmtree(folder, ignore_errors=True)
    files = {"Snakefile": SNAKEFILE.encode(), "scripts/nap.py": NAP.encode()}
    files |= {f"in/{number}.bin": os.urandom(INPUT) for number in range(JOBS)}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    how = [
        "--executor",
        "warm",
        "--cores",
        "2",
        "--scheduler",
        "greedy",
        "--resources",
        "gpu=1",
        "--quiet",
        "all",
    ]
    subprocess.run([sys.executable, "-m", "snakemake", *how, *options], cwd=folder, check=True)
    times = sorted(json.loads(path.read_text())[:2] for path in (folder / "out").iterdir())
    return (times[-1][1] - times[0][0]) / JOBS - SLEEP_S


def time_per_job(folder: Path) -> dict[str, Any]:
    """Measure what a job takes longer there."""
    found: dict[str, Any] = {}
    for name, options in (("per_job_ms", []), ("alone_ms", ["--config", "chain=1"])):
        with host(folder) as there:
            elsewhere, here = nap(folder / "nap", *arguments(there), *options), nap(folder / "nap", *options)
        found[name] = round(1000 * (elsewhere - here), 1)
        found[name.replace("_ms", "_here_ms")] = round(1000 * here, 1)
    return found


def moved(project: Path) -> int:
    """Return the bytes that the last connection moved, both ways."""
    record = json.loads((project / "logs/usage/runners.jsonl").read_text().splitlines()[-1])
    return int(record["bytes_up"] + record["bytes_down"])


def size(*paths: Path) -> int:
    """Return the size of files and folders."""
    every = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
    return sum(file.stat().st_size for file in every if file.is_file() and "__pycache__" not in file.parts)


def bytes_moved(folder: Path, minutes: float) -> dict[str, Any]:
    """Measure what travels for all chunks of a recording, and for one."""
    recording, project = folder / "talk.m4a", folder / "project"
    project.mkdir(parents=True)
    make_recording(recording, minutes)
    settings = {
        "chunk": {"target_s": 120, "search_s": 30},
        "transcribe": {"model": str(SPEECH_MODEL), "device": "cpu", "compute_type": "int8", "beam_size": 1},
        "diarize": {"model": str(DIARIZATION_MODEL), "device": "cpu", "chunk_s": 120},
    }
    make_project(project, {"talk": recording}, settings)
    found: dict[str, Any] = {"minutes": minutes}
    with host(folder) as there:
        run_pipeline(project, *arguments(there))
    (track,) = project.glob("results/convert/talk/*.flac")
    chunks = sorted(project.glob("results/transcribe/talk/*/*.json"))
    stretches = list(project.glob("results/diarize/talk/*/*"))
    both = size(
        project / "scripts", *project.glob("results/chunk/talk*"), *project.glob("results/chunk/talk/*")
    )
    needed = size(track, SPEECH_MODEL, DIARIZATION_MODEL, *chunks, *stretches) + both
    found |= {
        "needed": needed,
        "moved": moved(project),
        "moved_over_needed": round(moved(project) / needed, 3),
    }

    one = next(path for path in chunks if path.name.endswith(".0003.json"))
    about = json.loads(one.read_text())["heard"]
    plan = json.loads(next(project.glob("results/chunk/talk/*.plan.json")).read_text())
    share = (about["stop"] - about["start"]) / plan["samples"]
    one.unlink()
    with host(folder) as there:
        run_pipeline(project, *arguments(there))
    needed = round(size(track) * share) + size(SPEECH_MODEL, one) + both
    ratio = round(moved(project) / needed, 3)
    return found | {
        "one_chunk_needed": needed,
        "one_chunk_moved": moved(project),
        "one_chunk_moved_over_needed": ratio,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--folder", type=Path, help="keep everything here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as own:
        folder = options.folder or Path(own)
        folder.mkdir(parents=True, exist_ok=True)
        print(json.dumps(time_per_job(folder) | bytes_moved(folder, options.minutes), indent=1))


if __name__ == "__main__":
    main()
