"""Peak memory for a long recording: Snakemake, the worker with the models, and the jobs without one.

    python benchmarks/memory.py [--hours 3] [--chunks 2] [--step 0.1] [--limit-mb 250] [--folder FOLDER]

`sessionscribe run` begins on a fresh session of that length, and is stopped when so many chunks are
transcribed and listened to: the others would take the same again. The jobs' records say how much memory they
had (the worker's is with both models at work), and the kernel how much Snakemake's own process had, which
holds all jobs of the session.

Then a process of its own clusters the whole length: what the models found in the first stretch is repeated,
with a little noise, since only the number of voices matters to the memory of that.

Prints one JSON object, and exits with 1 if something needed more memory than its limit.
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from common import (
    DIARIZATION_MODEL,
    ENVIRONMENT,
    ROOT,
    SPEECH_MODEL,
    make_project,
    make_recording,
    sessionscribe,
    usage,
)

sys.path.insert(0, str(ROOT / "scripts"))

RULES = {
    "convert": "convert_audio",
    "plan": "plan_chunks",
    "transcribe": "transcribe_chunk",
    "embed": "embed_chunk",
}
WITH_MODELS = ("transcribe", "embed")
RULE_MB = {"worker": 4000.0, "transcribe": 4000.0, "embed": 4000.0, "cluster": 5000.0}
"""What the rules of these stages ask for (`mem_mb` in rules/); all else keeps the limit."""
MIB = 1 << 20


def settings(step: float) -> dict[str, Any]:
    """Return the settings of the session: the toy models, on the CPU."""
    return {
        "transcribe": {"model": str(SPEECH_MODEL), "device": "cpu", "compute_type": "int8", "language": "en"},
        "diarize": {"model": str(DIARIZATION_MODEL), "device": "cpu", "step": step},
    }


def run(project: Path, chunks: int) -> dict[str, dict[str, float]]:
    """Run the pipeline until so many chunks are transcribed and listened to; return peaks and times by stage.

    Raises:
        RuntimeError: it ended before without success.
    """
    command, environment = sessionscribe(project, "run")
    main_mb, enough = 0.0, False
    with (project / "run.log").open("w") as log:
        front = subprocess.Popen(
            command, cwd=project, env=ENVIRONMENT | environment, stdout=log, stderr=subprocess.STDOUT
        )
        while front.poll() is None:
            main_mb = max([main_mb, *(peak_mb(child) for child in _children(front.pid))])
            done = usage(project)
            if not enough and all(done.get(RULES[s], {}).get("jobs", 0) >= chunks for s in WITH_MODELS):
                enough = True
                front.send_signal(signal.SIGINT)
            time.sleep(0.2)
    if front.returncode and not enough:
        raise RuntimeError((project / "run.log").read_text(encoding="utf-8"))
    done = usage(project)
    stages = {stage: done[rule] for stage, rule in RULES.items()}
    worker_mb = max(stages[stage]["peak_mb"] for stage in WITH_MODELS)
    return {"main": {"peak_mb": main_mb}, "worker": {"peak_mb": worker_mb}, **stages}


def _children(parent: int) -> list[int]:
    try:
        return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    except OSError:
        return []


def peak_mb(process: int | str = "self") -> float:
    """Return the most memory that a process ever had in RAM, in MiB; 0 where it is gone."""
    try:  # ru_maxrss would count what the parent had when it started us
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / MIB
    except (OSError, IndexError):
        return 0.0


def cluster(folder: Path, step: float) -> None:
    """Cluster a whole session of windows like those of its first stretch."""
    import numpy as np  # noqa: PLC0415

    from sessionscribe.artifacts.plan import Timeline  # noqa: PLC0415
    from sessionscribe.audio.sliding_window import SlidingWindow  # noqa: PLC0415
    from sessionscribe.config.settings import Diarize  # noqa: PLC0415
    from sessionscribe.stages.diarize.diarize import cluster_speakers  # noqa: PLC0415
    from sessionscribe.stages.diarize.embeddings import Embeddings  # noqa: PLC0415

    results = folder / "project/results"
    timeline = Timeline.read(results / "chunk/talk.timeline.json")
    heard = Embeddings.read(min((results / "diarize/talk").glob("*/*.npz")))
    windows = SlidingWindow(heard.about.window, heard.about.step).count(timeline.samples)
    like = np.arange(windows) % heard.about.windows
    noise = np.random.default_rng(0).normal(scale=0.05, size=(windows, *heard.embeddings.shape[1:]))
    Embeddings(
        about=heard.about.model_copy(update={"first": 0, "windows": windows}),
        segmentations=heard.segmentations[like],
        embeddings=heard.embeddings[like] + noise.astype(np.float32),
    ).write(folder / "all.npz")
    del heard, like, noise
    cluster_speakers(
        timeline=timeline,
        embeddings=[folder / "all.npz"],
        options=Diarize(**settings(step)["diarize"]),
        output=folder / "turns.json",
        voices=folder / "voices.json",
    )


def measure_clustering(folder: Path, step: float) -> dict[str, float]:
    """Cluster in a process of its own; return its peak memory and its times."""
    command = [sys.executable, __file__, "--cluster", "--folder", str(folder), "--step", str(step)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def held(stages: dict[str, dict[str, float]], limit_mb: float) -> bool:
    """Note each stage's limit and return whether all of them are kept."""
    for stage, figures in stages.items():
        figures["limit_mb"] = RULE_MB.get(stage, limit_mb)
    return all(figures["peak_mb"] <= figures["limit_mb"] for figures in stages.values())


def main() -> int:
    """Run the benchmark, or be the process that clusters."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=3.0, help="length of the recording")
    parser.add_argument("--chunks", type=int, default=2, help="chunks to transcribe and to listen to")
    parser.add_argument("--step", type=float, default=0.1, help="`diarize.step`")
    parser.add_argument(
        "--limit-mb",
        type=float,
        default=250.0,
        help="most memory that Snakemake, conversion and planning may need",
    )
    parser.add_argument("--folder", type=Path, help="an empty one, where to work and leave the files")
    parser.add_argument("--cluster", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.cluster:
        began = time.perf_counter()
        cluster(given.folder, given.step)
        used = resource.getrusage(resource.RUSAGE_SELF)
        figures = {"peak_mb": peak_mb(), "cpu_s": used.ru_utime + used.ru_stime}
        print(json.dumps(figures | {"wall_s": time.perf_counter() - began}))
        return 0
    with tempfile.TemporaryDirectory(prefix="memory-") as scratch:
        folder = (given.folder or Path(scratch)).resolve()
        project = folder / "project"
        project.mkdir(parents=True)
        make_recording(folder / "talk.m4a", 60 * given.hours)
        make_project(project, {"talk": folder / "talk.m4a"}, settings(given.step))
        stages = run(project, given.chunks)
        stages["cluster"] = measure_clustering(folder, given.step)
    ok = held(stages, given.limit_mb)
    rounded = {stage: {name: round(value, 1) for name, value in f.items()} for stage, f in stages.items()}
    print(json.dumps({"hours": given.hours, "step": given.step, "ok": ok, **rounded}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
