"""`sessionscribe watch` as it is typed: one look, a service that is stopped, and what status says of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from project import DEMO, SETTINGS, Project, copy_project, cut_audio
from sshd import eventually
from webhooks import webhook

SECRET = "T0pS3cretT0ken"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the user's home, which lies beside all else that these tests write."""
    home = tmp_path_factory.mktemp("watch") / "home"
    home.mkdir()
    return home


@pytest.fixture(scope="module")
def project(home: Path) -> Project:
    """A project with a watched folder, in which a file is cut off."""
    project = copy_project(home.parent / "project")
    inbox = project.root.parent / "inbox"
    inbox.mkdir()
    (inbox / "half.mp4").write_bytes((DEMO / "recordings/meeting.mp4").read_bytes()[:200_000])
    rules = [{"match": "*.wav", "language": "en", "speakers": False}]
    watch = {"folders": [{"path": str(inbox), "settle_s": 0.5, "poll_s": 0.2}], "rules": rules}
    project.settings.write_text(
        yaml.safe_dump({**SETTINGS, "watch": watch, "batch": {"metrics": "metrics"}}), encoding="utf-8"
    )
    return project


def inbox_of(project: Project) -> Path:
    return project.root.parent / "inbox"


def sessions(project: Project) -> list[str]:
    table = project / "config/sessions.tsv"
    return [line.split("\t")[0] for line in table.read_text().splitlines()[1:]] if table.exists() else []


def test_one_look_adds_what_is_whole_and_names_what_is_not(project: Project) -> None:
    cut_audio(DEMO / "recordings/meeting.mp4", inbox_of(project) / "talk.wav", 0, 6)
    done = project.sessionscribe("watch", "--once", "--no-run")
    assert done.code == 1, done.text
    assert "added talk: recording, 1 file" in done.out
    assert len(done.err.splitlines()) == 1
    assert sessions(project) == ["talk"]
    shown = project.sessionscribe("status")
    assert f"refused {inbox_of(project)}/half.mp4: ends after 12 s and should last 100 s" in shown.out
    told = json.loads(project.sessionscribe("status", "--json").out)
    assert [(row["session"], row["status"]) for row in told["sessions"]] == [("talk", "pending")]
    assert list(told["refused"]) == [f"{inbox_of(project)}/half.mp4"]
    explained = project.sessionscribe("watch", "--explain", str(inbox_of(project) / "talk.wav"))
    assert "language: en  (rule 1: *.wav)" in explained.out
    assert explained.out.endswith("session talk\n")


def test_a_service_adds_transcribes_tells_and_ends_with_a_signal(project: Project, home: Path) -> None:
    command = [sys.executable, "-m", "sessionscribe.cli.main", "watch", "--configfile", "config/test.yaml"]
    with webhook() as (port, got):
        url = f"json://me:{SECRET}@127.0.0.1:{port}/{SECRET}"
        service = subprocess.Popen(
            command,
            cwd=project.root,
            env=project.environment(SESSIONSCRIBE_NOTIFY=url, HOME=str(home)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert service.stdout is not None
            assert service.stdout.readline().startswith("watching ")
            cut_audio(DEMO / "recordings/meeting.mp4", inbox_of(project) / "late.wav", 20, 26)
            assert eventually(lambda: bool(got), 240), "no notice"
        finally:
            service.send_signal(signal.SIGTERM)
            out, err = service.communicate(timeout=60)
    assert service.returncode == 0, out + err
    assert "Traceback" not in err
    assert out.count("added ") == 1
    ((title, message),) = ((notice["title"], notice["message"]) for notice in got)
    assert "2 sessions are finished" in title
    assert (
        "sessionscribe_batch_last_chunks_failed"
        in (project / "metrics/sessionscribe-project.prom").read_text()
    )
    assert (project / "results/export/late/late.txt").is_file()
    written = [path for path in home.parent.rglob("*") if path.is_file()]
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []
    said = (project / "results/export/late/late.txt").read_text().split()
    assert {word for word in said if len(word) > 5}.isdisjoint(message.split())


def test_what_is_asked_wrongly_is_one_line(project: Project) -> None:
    for arguments in (["--configfile", "config/config.yaml"], ["--explain", "elsewhere.wav"]):
        done = project.sessionscribe("watch", *arguments)
        assert (done.code, len(done.err.splitlines()), done.out) == (2, 1, ""), done.text
