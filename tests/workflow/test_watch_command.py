"""`sessionscribe watch` as it is typed: one look, a service that is stopped, and what status says of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from project import DEMO, SETTINGS, Project, copy_project, cut_audio


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a watched folder, in which a file is cut off."""
    project = copy_project(tmp_path_factory.mktemp("watch") / "project")
    inbox = project.root.parent / "inbox"
    inbox.mkdir()
    (inbox / "half.mp4").write_bytes((DEMO / "recordings/meeting.mp4").read_bytes()[:200_000])
    rules = [{"match": "*.wav", "language": "en", "speakers": False}]
    watch = {"folders": [{"path": str(inbox), "settle_s": 0.5, "poll_s": 0.2}], "rules": rules}
    project.settings.write_text(yaml.safe_dump({**SETTINGS, "watch": watch}), encoding="utf-8")
    return project


def inbox_of(project: Project) -> Path:
    return project.root.parent / "inbox"


def sessions(project: Project) -> list[str]:
    table = project / "config/sessions.tsv"
    return [line.split("\t")[0] for line in table.read_text().splitlines()[1:]] if table.exists() else []


def test_one_look_adds_what_is_whole_and_names_what_is_not(project: Project) -> None:
    cut_audio(DEMO / "recordings/meeting.mp4", inbox_of(project) / "talk.wav", 0, 20)
    done = project.sessionscribe("watch", "--once", "--no-run")
    assert done.code == 1, done.text
    assert "added talk: recording, 1 file" in done.out
    assert len(done.err.splitlines()) == 1
    assert sessions(project) == ["talk"]
    shown = project.sessionscribe("status")
    assert f"refused {inbox_of(project)}/half.mp4: ends after 31 s and should last 100 s" in shown.out
    told = json.loads(project.sessionscribe("status", "--json").out)
    assert [(row["session"], row["status"]) for row in told["sessions"]] == [("talk", "pending")]
    assert list(told["refused"]) == [f"{inbox_of(project)}/half.mp4"]
    explained = project.sessionscribe("watch", "--explain", str(inbox_of(project) / "talk.wav"))
    assert "language: en  (rule 1: *.wav)" in explained.out
    assert explained.out.endswith("session talk\n")


def test_a_service_adds_what_comes_and_ends_with_a_signal(project: Project) -> None:
    command = [sys.executable, "-m", "sessionscribe.cli.main", "watch", "--no-run"]
    service = subprocess.Popen(
        [*command, "--configfile", "config/test.yaml"],
        cwd=project.root,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert service.stdout is not None
        assert service.stdout.readline().startswith("watching ")
        cut_audio(DEMO / "recordings/meeting.mp4", inbox_of(project) / "late.wav", 20, 30)
        until = time.monotonic() + 60
        while "late" not in sessions(project):
            assert time.monotonic() < until
            time.sleep(0.1)
    finally:
        service.send_signal(signal.SIGTERM)
    out, err = service.communicate(timeout=30)
    assert service.returncode == 0, out + err
    assert "Traceback" not in err
    assert out.count("added ") == 1


def test_what_is_asked_wrongly_is_one_line(project: Project) -> None:
    for arguments in (["--configfile", "config/config.yaml"], ["--explain", "elsewhere.wav"]):
        done = project.sessionscribe("watch", *arguments)
        assert (done.code, len(done.err.splitlines()), done.out) == (2, 1, ""), done.text
