"""What a batch costs, whether it repairs exactly what is missing, whether its machine stops whatever happens.

    .venv/bin/python benchmarks/batch.py [--sessions 100] [--chunks 24] [--folder DIR]
    .venv/bin/python benchmarks/batch.py --safety

A recorder's S3 (rclone's server) has live sessions with a transcript beside each part, as machines that
transcribe live leave them. A project adopts these and finishes the sessions. Then one transcript of each is
deleted at random, here and there. A batch has to find these, start an instance of EC2 (moto's, with a real
sshd), make them again, and stop it. Prints JSON: CPU seconds of the scan with all its processes, the report.

`--safety`: TERM, INT and KILL of the batch and of its process group, and a network that falls silent, with a
machine that the batch started and with one that was up; after how many seconds it was seen to be stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from common import ROOT, TOY

sys.path.insert(0, str(ROOT / "tests"))

import aws
import sshd
from aws import Box
from batches import Away, network_of, stop_in_the_middle
from project import SETTINGS, Project, copy_project, cut_audio
from remotes import serving

CHUNK_S = 3.0
BAR_CPU_S = 3.0
"""Of the scan, and of a batch that finds nothing to do."""
KEYS = ("status", "scan", "gpu", "transcription", "performance")
HOWS = ("TERM", "INT", "KILL", "TERM group", "INT group", "KILL group", "cut")


@contextmanager
def boxes(folder: Path) -> Iterator[Callable[[], Box]]:
    """Yield what makes a machine that is off."""
    made: list[Box] = []
    with aws.cloud(folder) as cloud:

        def make() -> Box:
            number = len(made)
            host = sshd.Host(folder / f"host-{number}", "gpu")
            box = Box(cloud, host, cloud.instance("gpu"))
            made.append(box)
            return box

        try:
            yield make
        finally:
            for box in made:
                box.end()


def finished(folder: Path, place: Path, sessions: int, chunks: int) -> Project:
    """Return a project in which the sessions of a place are finished, with transcripts beside their parts."""
    project = copy_project(folder)
    settings = SETTINGS | {"diarize": {"model": "off"}, "upload": {"to": "beside", "audio": False}}
    settings["transcribe"] = SETTINGS["transcribe"] | {"language": "en"}
    settings["batch"] = {"sources": ["far:recorder"], "lock_minutes": 0.01}
    project.settings.write_text(yaml.safe_dump(settings))
    first = place / "recorder/session-000"
    for number in range(chunks):
        begin = number * CHUNK_S
        cut_audio(TOY / "recordings/meeting.mp4", first / f"chunk-{number:03}.wav", begin, begin + CHUNK_S)
    for command in (["add", "far:recorder"], ["run"], ["upload"]):
        done = project.sessionscribe(*command)
        assert done.code == 0, done.text
    for number in range(1, sessions):
        shutil.copytree(first, place / f"recorder/session-{number:03}", copy_function=os.link)
    for command in (["add", "far:recorder"], ["run"]):
        done = project.sessionscribe(*command)
        assert done.code == 0, done.text
    return project


def take_away(project: Project, place: Path) -> set[str]:
    """Delete one transcript of each session at random, here and beside the part; return the files here."""
    chance, taken = random.Random(1), set()
    for folder in sorted((project / "results/transcribe").iterdir()):
        path = chance.choice(sorted(folder.glob("*/chunk-*.json")))
        part = path.name.split(".")[0]
        (place / f"recorder/{folder.name.removeprefix('recorder-')}/transcription-{part}.json").unlink()
        path.unlink()
        taken.add(str(path.relative_to(project.root)))
    return taken


def cost(act: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return what something gives, and the CPU and wall seconds of the processes that it started."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    result = act()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return result, round(cpu_s, 2), round(time.monotonic() - began, 2)


def load(folder: Path, sessions: int, chunks: int) -> dict[str, Any]:
    """Let a batch repair many sessions."""
    place = folder / "s3"
    with serving("s3", place) as server, boxes(folder) as make:
        project = finished(folder / "project", place, sessions, chunks)
        away = Away.prepared(project, make())
        os.environ |= server.environment
        time.sleep(2)  # a part that was written a moment ago is of a recording that goes on
        taken = take_away(project, place)
        scan, cpu_s, wall_s = cost(lambda: away.run("scan"))
        pending = json.loads((project / "logs/batch/pending-jobs.json").read_text())
        done, batch_cpu_s, batch_wall_s = cost(away.run)
        there = [name for name in taken if (project / name).is_file()]
        again, idle_cpu_s, idle_wall_s = cost(away.run)
        reports = away.reports()
        state = away.box.cloud.state(away.box.id)
    assert (scan.returncode, done.returncode, again.returncode) == (0, 0, 0), scan.stderr + done.stderr
    found = {
        "deleted": len(taken),
        "pending": pending["totalMissingChunks"],
        "made again": len(there),
        "machine": state,
        "scan": {"cpu_s": cpu_s, "wall_s": wall_s},
        "batch": {"cpu_s": batch_cpu_s, "wall_s": batch_wall_s},
        "nothing to do": {"cpu_s": idle_cpu_s, "wall_s": idle_wall_s, "status": reports[-1]["status"]},
        "machine starts": away.box.starts,
        "report": {key: reports[-2][key] for key in KEYS},
    }
    right = len(taken) == len(there) == found["pending"] == sessions and state == "stopped"
    right &= reports[-2]["transcription"]["chunksTranscribed"] == sessions
    right &= reports[-1]["status"] == "skipped" and away.box.starts == 1
    return {"ok": right and max(cpu_s, idle_cpu_s) <= BAR_CPU_S, **found}


def safety(folder: Path) -> dict[str, Any]:
    """Stop batches in every way."""
    found: dict[str, Any] = {}
    place = folder / "s3"
    with serving("s3", place), boxes(folder) as make:
        whole = finished(folder / "project", place, 1, 4)
        for beside in place.rglob("transcription-*.json"):
            beside.unlink()
        for how in HOWS:
            for was_up in (False, True):
                box = make()
                if was_up:
                    box.cloud.client().start_instances(InstanceIds=[box.id])
                    assert sshd.eventually(lambda box=box: box.starts, 20)
                target = folder / f"{how}-{was_up}"
                target.mkdir()
                with network_of(box) as (network, address):
                    away = Away.prepared(whole.copy(target), box, address)
                    away.take_away(4)
                    took_s = stop_in_the_middle(away, how, network)
                    state = box.cloud.state(box.id)
                    if "KILL" in how:
                        assert sshd.eventually(lambda away=away: not away.processes(), 60)
                        away.run("--max-sessions", "1")
                report = away.reports()[0]
                told = {key: report["gpu"][key] for key in ("wasRunning", "weStartedIt", "stopTime")}
                name = f"{how}, {'was up' if was_up else 'started by the batch'}"
                found[name] = {"state": state, "status": report["status"], **told}
                if not was_up:
                    found[name]["stopped after s"] = round(took_s, 1)
                box.end()
                box.cloud.client().terminate_instances(InstanceIds=[box.id])
    right = all(
        one["state"] == ("running" if one["wasRunning"] else "stopped")
        and one["wasRunning"] == name.endswith("was up") != one["weStartedIt"]
        for name, one in found.items()
    )
    return {"ok": right, **found}


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--chunks", type=int, default=24)
    parser.add_argument("--safety", action="store_true", help="kill batches in every way")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="batch-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = safety(folder) if options.safety else load(folder, options.sessions, options.chunks)
    print(json.dumps(found, indent=1))
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
