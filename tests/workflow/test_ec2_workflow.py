"""Jobs on an instance of EC2: moto says what it is, and a real sshd is what it does."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

import aws
from aws import Box
from errands import SECRET, Remote, remote_project
from project import ROOT, Project
from sshd import eventually

pytestmark = pytest.mark.cloud
RUNNER = ("ec2:gpu",)


@pytest.fixture
def folder(box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    for name, value in box.cloud.environment.items():
        monkeypatch.setenv(name, value)
    made = remote_project(tmp_path / "project")
    (made / "ssh_config").write_text(box.entry)
    return made


def options(box: Box) -> tuple[str, ...]:
    return ("--warm-lease", "4", "--warm-remote-stop-command", box.power_off)


def test_the_instance_is_started_used_and_stopped(folder: Remote, box: Box) -> None:
    (folder / "config").mkdir()
    (folder / "config/prices.yaml").write_bytes((ROOT / "config/prices.yaml").read_bytes())
    done = folder.run(*options(box), runners=RUNNER, HF_TOKEN=SECRET)
    assert done.code == 0, done.text
    folder.assert_whole()
    assert {one["home"] for one in folder.made().values()} == {str(box.host.home)}
    assert box.cloud.state(box.id) == "stopped"
    assert not box.cloud.alarms()
    assert not (box.host.home / "power-off").exists()
    (record,) = map(json.loads, (folder / "logs/usage/runners.jsonl").read_text().splitlines())
    assert record["machine"] == "g5.xlarge"
    assert record["price"]["per_hour"] == 1.006
    for place in (folder.root, box.host.folder):
        for path in place.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            assert not [word for word in (SECRET, aws.SECRET) if word.encode() in content], path
    assert aws.SECRET not in done.text
    (folder / "in/table.txt").write_text("fail=1\n")
    done = folder.run("--forceall", "--keep-going", *options(box), runners=RUNNER)
    assert done.code == 1
    assert "number 1 will not do" in done.err
    assert box.starts == 2
    assert box.cloud.state(box.id) == "stopped", "after a failure, too"


def test_an_instance_stops_itself_where_no_home_is_left(folder: Remote, box: Box) -> None:
    (box.host.home / "hold").touch()
    running = folder.begin(*options(box), runners=RUNNER)
    try:
        assert eventually((box.host.home / "working").exists, 60), (folder / "said").read_text()
        (box.host.home / "hold").unlink()
        assert box.cloud.alarms()
        for pid in folder.successors():  # as when its power fails: who would stop it is gone as well
            os.kill(pid, signal.SIGKILL)
        running.kill()
        assert aws.wait_until_off(box.cloud, box.id, 20)
        assert box.cloud.alarms()
        running.wait(30)
    finally:
        running.kill()
    assert "out/0.txt" not in folder.results("out")
    done = folder.run("--rerun-incomplete", "--nolock", *options(box), runners=RUNNER)
    assert done.code == 0, done.text
    folder.assert_whole()
    assert box.cloud.state(box.id) == "stopped"
    assert not box.cloud.alarms()


@pytest.mark.slow
def test_a_session_made_there_is_the_same_to_the_byte(
    finished: Project, new_project: Project, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in box.cloud.environment.items():
        monkeypatch.setenv(name, value)
    (new_project / "ssh_config").write_text(box.entry)
    how = ["--profile", "ec2", "--configfile", "config/test.yaml", "--warm-ssh-config", "ssh_config"]
    ready = ["--warm-remote-python", sys.executable, *options(box)]
    done = new_project.sessionscribe("run", "--session", "duo", *how, *ready)
    assert done.code == 0, done.text
    made = new_project.results("results/export/duo")
    assert made == finished.results("results/export/duo")
    assert len(made) > 5
    assert box.starts == 1
    assert box.cloud.state(box.id) == "stopped"
