"""Batches on this machine: exactly what is missing is made, nobody is disturbed, the report says it all."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from project import Done, Project
from sshd import eventually

CHUNKS = "results/transcribe/*/*/*.[0-9]*.json"
LOCK = ".sessionscribe/batch-lock.json"
TYPES = {
    "timestamp": str,
    "status": str,
    "skipped": bool,
    "lockStatus": {"locked": bool},
    "scan": {"sessionsScanned": int, "totalMissingChunks": int},
    "gpu": {
        "wasRunning": bool,
        "weStartedIt": bool,
        "startTime": (str, type(None)),
        "stopTime": (str, type(None)),
        "runtimeSeconds": (int, float),
        "costUSD": (int, float, type(None)),
    },
    "transcription": {"chunksTranscribed": int, "chunksFailed": int, "totalSizeBytes": int},
    "performance": dict.fromkeys(
        (
            *("totalDurationSeconds", "scanDurationSeconds", "gpuStartupSeconds"),
            *("transcribeDurationSeconds", "shutdownSeconds"),
        ),
        (int, float),
    ),
}


def act(project: Project, *arguments: str) -> Done:
    """Run an action of `sessionscribe batch`."""
    how = ("--configfile", "config/test.yaml")
    return project.program("sessionscribe.cli.main", "batch", *arguments, *how)


def batch(project: Project, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Run a batch and return its report."""
    before = set((project / "logs/batch/reports").glob("*.json"))
    done = project.sessionscribe("batch", *arguments)
    assert done.code == code, done.text
    (path,) = set((project / "logs/batch/reports").glob("*.json")) - before
    assert re.fullmatch(r"batch-\d{4}-\d\d-\d\d-\d{4}(-\d+)?\.json", path.name)
    report: dict[str, Any] = json.loads(path.read_text())
    assert_typed(report, TYPES)
    return report


def assert_typed(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for key, kind in wanted.items():
        if isinstance(kind, dict):
            assert_typed(found[key], kind)
        else:
            assert isinstance(found[key], kind), (key, found[key])
            assert kind is not int or not isinstance(found[key], bool)


def setting(project: Project, **values: Any) -> None:
    settings = yaml.safe_load(project.settings.read_text())
    settings["batch"] = settings.get("batch", {}) | values
    project.settings.write_text(yaml.safe_dump(settings))


def take_away(project: Project, pattern: str = CHUNKS) -> list[Path]:
    taken = sorted(project.root.glob(pattern))
    for path in taken:
        path.unlink()
    return taken


def test_what_is_missing_is_made_and_then_there_is_nothing_to_do(project: Project) -> None:
    before = project.results("results/export")
    chunk, *_ = sorted(project.root.glob(CHUNKS))
    kept = chunk.read_bytes()
    chunk.unlink()
    done = act(project, "scan", "--output", "pending.json")
    assert done.code == 0, done.text
    pending = json.loads((project / "pending.json").read_text())
    assert pending["totalMissingChunks"] == 1
    (session,) = pending["sessions"]
    assert session["missing"][0]["reason"] == "missing"
    assert "merge_transcript" in session["otherSteps"]
    report = batch(project)
    assert report["status"] == "success"
    assert report["scan"]["totalMissingChunks"] == report["transcription"]["chunksTranscribed"] == 1
    assert report["transcription"]["totalSizeBytes"] > 0
    assert report["gpu"]["costUSD"] is None, "what this machine costs nobody knows"
    assert chunk.read_bytes() == kept
    assert project.results("results/export") == before
    logs = len(list((project / ".snakemake/log").iterdir()))
    report = batch(project)
    assert (report["status"], report["skipped"]) == ("skipped", True)
    assert report["gpu"]["costUSD"] == 0
    assert len(list((project / ".snakemake/log").iterdir())) == logs, "Snakemake was not started"
    tried = act(project, "test")
    assert tried.code == 0, tried.text
    assert "made again, identical to the byte" in tried.out
    assert batch(project)["skipped"]
    month = time.strftime("%Y-%m", time.gmtime())
    shown = act(project, "report", "--month", month, "--json")
    assert act(project, "report", "--month", "2026-13").code == 2
    sums = json.loads(shown.out)
    assert (sums["batches"], sums["chunksTranscribed"], sums["chunksFailed"]) == (4, 2, 0)


def test_sessions_come_in_their_order_and_no_more_than_asked_for(project: Project) -> None:
    table = project / "config/sessions.tsv"
    header, *rows = [line.split("\t") for line in table.read_text().splitlines()]
    priority = {"talk": "5", "live": "9", "duo": ""}
    for row in rows:
        row[header.index("priority")] = priority[row[0]]
    table.write_text("".join("\t".join(row) + "\n" for row in (header, *rows)))
    take_away(project)
    planned = project.sessionscribe("batch", "--dry-run", "--max-sessions", "2")
    assert [line.split(":")[0] for line in planned.out.splitlines()] == ["lock", "live", "talk"]
    assert not (project / "logs/batch").exists()
    report = batch(project, "--max-sessions", "1")
    assert report["sessions"] == report["completed"] == ["live"]
    settings = yaml.safe_load(project.settings.read_text())
    project.settings.write_text(yaml.safe_dump(settings | {"upload": {"to": "run.txt/in-a-file"}}))
    setting(project, upload=True)
    report = batch(project, code=1)
    assert (report["status"], set(report["notSent"])) == ("partial", {"talk", "duo"})
    begun = re.findall(r"results/transcribe/(\w+)/\w+/\w+\.\d+\.json\n", project.log())
    assert list(dict.fromkeys(begun)) == ["talk", "duo"]
    settings = yaml.safe_load(project.settings.read_text())
    project.settings.write_text(yaml.safe_dump(settings | {"upload": {"to": "sent"}}))
    report = batch(project)
    assert (report["status"], report["uploads"], report["notSent"]) == ("success", 2, [])
    assert list((project / "sent").rglob("talk.srt"))
    assert batch(project)["skipped"]


def test_a_recording_keeps_batches_away_and_ends_one_at_work(project: Project) -> None:
    setting(project, lock_poll_s=0.2)
    chunks = take_away(project)
    locked = act(project, "lock", "--session", "now", "--user", "anna")
    assert json.loads(locked.out)["userId"] == "anna"
    report = batch(project)
    assert (report["status"], report["skipped"], report["lockStatus"]["locked"]) == ("locked", True, True)
    assert report["scan"]["sessionsScanned"] == 0
    assert not any(path.exists() for path in chunks)
    long_ago = time.time() - 31 * 60
    for path in (project / LOCK, project / ".sessionscribe/batch-lock/now.json"):
        os.utime(path, (long_ago, long_ago))
    logs = len(list((project / ".snakemake/log").iterdir()))
    with started(project) as running:
        assert eventually(lambda: len(list((project / ".snakemake/log").iterdir())) > logs, 120)
        assert eventually(lambda: "rule transcribe_chunk:" in project.log(), 120)
        assert not (project / LOCK).exists(), "the stale lock is gone"
        (project / LOCK).write_text('{"locked": true, "userId": "b", "sessionId": "next", "timestamp": ""}')
        busy = project.sessionscribe("batch")
        assert busy.code == os.EX_TEMPFAIL
        assert running.wait(120) == 0
    report = newest(project)
    assert report["status"] == "interrupted"
    assert report["lockStatus"] == {"locked": True, "userId": "b", "sessionId": "next"}
    assert report["transcription"]["chunksTranscribed"] < len(chunks)
    assert report["transcription"]["chunksFailed"] == 0
    assert "Will exit after finishing currently running jobs" in project.log()
    assert act(project, "unlock", "--session", "next").code == 0
    assert batch(project)["status"] == "success"
    assert all(path.exists() for path in chunks)
    setting(project, lock="s3://nowhere/lock.json")
    chunks[0].unlink()
    report = batch(project, code=1)
    assert report["status"] == "failed"
    assert "the lock cannot be used" in report["reason"]
    assert not chunks[0].exists()


@contextmanager
def started(project: Project) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "sessionscribe.cli.main", "batch", "--configfile", "config/test.yaml"]
    running = subprocess.Popen(command, cwd=project.root, env=project.environment())
    try:
        yield running
    finally:
        running.kill()


def newest(project: Project) -> dict[str, Any]:
    paths = (project / "logs/batch/reports").glob("*.json")
    report: dict[str, Any] = json.loads(max(paths, key=lambda path: path.stat().st_mtime).read_text())
    return report


def test_what_fails_again_and_again_is_left_out_for_a_while(project: Project) -> None:
    setting(project, attempts=2)
    chunk, *_ = take_away(project, "results/transcribe/talk/*/*.0001.json")
    audio = project / "results/convert/talk/mix.flac"
    audio.write_bytes(b"no audio")
    take_away(project, "results/transcribe/duo/*/*.0000.json")
    report = batch(project, code=1)
    assert report["status"] == "partial"
    assert report["transcription"]["chunksFailed"] == 1
    (failure,) = report["failures"]
    assert (failure["session"], failure["attempts"], failure["retryAfter"]) == ("talk", 1, None)
    report = batch(project, code=1)
    assert report["failures"][0]["attempts"] == 2
    assert report["failures"][0]["retryAfter"] > report["timestamp"]
    report = batch(project)
    assert report["status"] == "skipped"
    assert report["reason"].startswith("skipped for now")
    assert report["scan"]["totalMissingChunks"] == 1
    assert report["failures"][0]["attempts"] == 2
    take_away(project, "results/transcribe/live/*/*.0000.json")
    report = batch(project)
    assert (report["status"], len(report["failures"])) == ("success", 1)
    told = (project / "logs/batch/left-out.txt").read_text().splitlines()
    assert told == [report["failures"][0]["output"]], "in a file: a command line may be too short"
    assert "skipped until" in project.sessionscribe("batch", "--dry-run").out
    assert batch(project, "--retry-all", code=1)["failures"][0]["attempts"] == 3
    audio.unlink()
    assert batch(project, "--retry-all")["failures"] == []
    assert chunk.exists()


def test_a_part_that_came_just_now_is_of_a_recording_that_goes_on(project: Project) -> None:
    folder = project / "uploads/evening"
    folder.mkdir(parents=True)
    shutil.copy2(project / "recordings/live/chunk-000.webm", folder)
    os.utime(folder / "chunk-000.webm")
    setting(project, sources=["uploads/evening", "uploads/none"])
    report = batch(project)
    assert (report["status"], report["lockStatus"]["sessionId"]) == ("locked", "evening")
    long_ago = time.time() - 31 * 60
    os.utime(folder / "chunk-000.webm", (long_ago, long_ago))
    report = batch(project, code=1)
    assert (report["status"], report["completed"]) == ("partial", ["evening"])
    assert "uploads/none" in report["reason"]


JQ = {
    "map(.gpu.runtimeSeconds) | add": 61.5,
    "map(.gpu.costUSD // 0) | add": 0.25,
    "map(.transcription.chunksFailed) | add": 3,
    "map(select(.gpu.weStartedIt and .gpu.stopTime == null)) | length": 1,
    "map(select(.skipped | not)) | length": 2,
    "group_by(.timestamp[0:7]) | map({(.[0].timestamp[0:7]): (map(.gpu.costUSD) | add)}) | add": {
        "2026-10": None,
        "2026-11": 0.25,
    },
}


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_usual_sums_of_jq_work(tmp_path: Path) -> None:
    from sessionscribe.batch import report as reports  # noqa: PLC0415

    ours: dict[str, Any] = {"weStartedIt": True, "runtimeSeconds": 1.5, "costUSD": None}
    seen = {"stopTime": "2026-11-01T00:02:00Z", "runtimeSeconds": 60, "costUSD": 0.25}
    done = {"chunksTranscribed": 7, "chunksFailed": 3, "totalSizeBytes": 10}
    made: list[dict[str, Any]] = [
        {"timestamp": "2026-10-31T22:00:00Z", "status": "failed", "gpu": ours},
        {"timestamp": "2026-11-01T00:00:00Z", "status": "skipped", "skipped": True},
        {"timestamp": "2026-11-01T00:00:30Z", "status": "partial", "gpu": ours | seen, "transcription": done},
    ]
    for given in made:
        report = reports.BatchReport.model_validate(given)
        report.write(reports.path_for(report, tmp_path))
    files = sorted((tmp_path / reports.REPORTS).iterdir())
    assert [path.name for path in files] == [
        "batch-2026-10-31-2200.json",
        "batch-2026-11-01-0000-2.json",
        "batch-2026-11-01-0000.json",
    ]
    for expression, value in JQ.items():
        said = subprocess.run(["jq", "-s", expression, *files], capture_output=True, text=True, check=True)
        assert json.loads(said.stdout) == value, expression
    ahead = files[0].with_name("batch-2999-01-01-0000.json")
    ahead.write_bytes(files[0].read_bytes())
    assert next(reports.newest_first(tmp_path)).status == "partial", "a clock that was ahead is not the last"
    assert reports.sums(reports.of_month("2026-11", tmp_path))["cost"] == {}
