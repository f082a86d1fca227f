"""What benchmarks share: a recording of any length, our pipeline on it in a project of its own, a clock."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from sessionscribe.core import telemetry

ROOT = Path(__file__).resolve().parents[1]
TOY = ROOT / "tests/data/toy"
MODELS = ROOT / "tests/data/models"
SPEECH_MODEL = MODELS / "toy-whisper"
DIARIZATION_MODEL = MODELS / "toy-diarization"
PARTS = ("Snakefile", "rules", "scripts", "config", "profiles", "envs")
RATE = 44_100
# Threads that wait must not spin: on a busy machine that would be counted as work. The same for all rivals.
ENVIRONMENT = (
    os.environ
    | telemetry.OFF
    | {
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": "",
    }
)


def make_recording(path: Path, minutes: float) -> None:
    """Write a recording (44.1 kHz stereo AAC): the tests', one after the other, over and over.

    Each is encoded once and its packets repeated, so an hour is made in seconds.
    """
    import av  # noqa: PLC0415 -- not in the process that measures

    sources = [TOY / "recordings/meeting.mp4", *sorted((TOY / "recordings/live").glob("*.webm"))]
    with av.open(str(path), "w", format="ipod") as output:
        stream = output.add_stream("aac", RATE, layout="stereo")
        loop: list[tuple[bytes, int]] = []
        for source in sources:
            resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
            with av.open(str(source)) as given:
                for frame in given.decode(audio=0):
                    frame.pts = None
                    for part in resampler.resample(frame):
                        part.pts = None
                        loop += [(bytes(packet), packet.duration) for packet in stream.encode(part)]
            if sum(duration for _, duration in loop) >= minutes * 60 * RATE:
                break
        position = 0
        while position < minutes * 60 * RATE:
            for data, duration in loop:
                packet = av.Packet(data)
                packet.stream, packet.time_base = stream, Fraction(1, RATE)
                packet.pts = packet.dts = position
                packet.duration = duration
                output.mux(packet)
                position += duration
                if position >= minutes * 60 * RATE:
                    break


def timed(command: list[str], folder: Path, **environment: str) -> tuple[dict[str, float], str]:
    """Run a command; return its CPU and wall time with those of its children, and what it printed."""
    before, began = _cpu(), time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT | environment, capture_output=True, text=True, check=False
    )
    wall, cpu = time.perf_counter() - began, _cpu() - before
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return {"cpu_s": round(cpu, 2), "wall_s": round(wall, 2)}, done.stdout


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def make_project(folder: Path, recordings: Mapping[str, Path], settings: dict[str, Any]) -> None:
    """Copy the workflow to a folder and add recordings, by the names of their sessions, to its manifest."""
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in PARTS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        extra: dict[str, Any] = {"ignore": ignore} if copy is shutil.copytree else {}
        copy(ROOT / name, folder / name, **extra)
    shutil.copy2(MODELS / "xvector.py", folder / "scripts/sessionscribe/engines")
    text = json.dumps(settings, indent=1)  # which is YAML too
    (folder / "config/benchmark.yaml").write_text(text, encoding="utf-8")
    for session, recording in recordings.items():
        _sessionscribe(folder, "add", str(recording), "--session", session)


def run_pipeline(folder: Path, *arguments: str) -> dict[str, float]:
    """Run the whole pipeline in a project and return what that cost."""
    return _sessionscribe(folder, "run", *arguments)


def _sessionscribe(folder: Path, *arguments: str) -> dict[str, float]:
    command, environment = sessionscribe(folder, *arguments)
    figures, _ = timed(command, folder, **environment)
    return figures


def sessionscribe(folder: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Return the command that runs `sessionscribe` in a project, and what it needs in its environment."""
    verb, *rest = arguments
    settings = ["--configfile", "config/benchmark.yaml"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {"PYTHONPATH": str(folder.resolve() / "scripts"), "PATH": path}
    return [sys.executable, "-m", "sessionscribe.cli.main", verb, *settings, *rest], environment


def usage(folder: Path) -> dict[str, dict[str, float]]:
    """Return how many jobs of each rule a project had, their seconds of CPU and wall, their peak memory."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for path in (folder / "logs/usage").rglob("*.json"):
        job = json.loads(path.read_text(encoding="utf-8"))
        rule = found[job["rule"]]
        rule["jobs"] += 1
        for name in ("cpu_s", "wall_s"):
            rule[name] = round(rule[name] + job[name], 2)
        rule["peak_mb"] = max(rule["peak_mb"], job["peak_memory_mb"])
    return {rule: dict(found[rule]) for rule in sorted(found)}


def ratios(ours: dict[str, float], theirs: dict[str, float]) -> dict[str, float]:
    """Return ours divided by theirs."""
    return {name.replace("_s", "_ratio"): round(ours[name] / theirs[name], 3) for name in ("cpu_s", "wall_s")}
