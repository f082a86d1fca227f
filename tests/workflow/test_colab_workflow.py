"""Jobs on Google Colab, with the real command: a session goes, its door shuts, this side is killed."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import colab
from errands import Remote, remote_project
from project import Project
from sshd import eventually

pytestmark = pytest.mark.cloud
RUNNERS = ("colab:T4",)


@pytest.fixture
def folder(tmp_path: Path) -> Remote:
    folder = remote_project(tmp_path / "project")
    (folder / "ssh_config").touch()
    (folder / "envs").symlink_to(colab.PINS)
    return folder


def nothing_runs(vm: colab.Vm) -> bool:
    return not vm.host.pids("guard.py") and not vm.host.pids("serve.py")


def proxies(google: colab.Colab) -> list[int]:
    """Return the processes that are the way into a session."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (entry / "cmdline").read_bytes()
            ours = str(google.home).encode() in (entry / "environ").read_bytes()
            if ours and b"--proxy-mode" in line and not line.startswith(b"ssh"):
                found.append(int(entry.name))
    return found


def test_a_session_that_goes_and_a_door_that_shuts_cost_the_jobs_in_flight(
    folder: Remote, google: colab.Colab
) -> None:
    (folder / "in/table.txt").write_text("slow=1\n")
    running = folder.begin("--config", "jobs=7", runners=RUNNERS)

    def done() -> int:
        return len(list((folder / "made").glob("*.json")))

    try:
        assert eventually(done, 60), (folder / "said").read_text()
        (first,) = google.machines.values()
        (session,) = google.home.rglob("sessions.json")
        assert google.told(folder.root) == [str(session)], "of no use without the machine, gone with it"
        assert session.stat().st_mode & 0o077 == 0
        before, door = done(), proxies(google)
        assert door
        for pid in door:
            os.kill(pid, signal.SIGKILL)
        assert eventually(lambda: done() > before + 1, 60), (folder / "said").read_text()
        assert list(google.machines.values()) == [first], "the same session, by another door"
        google.take_away(first)
        assert running.wait(90) == 0, (folder / "said").read_text()
    finally:
        running.kill()
    folder.assert_whole(7)
    said = (folder / "said").read_text()
    assert said.count("its jobs go back into the queue, next attempt in") == 2
    assert "warm: colab:T4: Colab took the session away after" in said
    assert said.count("warm: colab:T4: a session with T4, for 12 h 00 min at most") == 2
    homes = {one["home"] for one in folder.made().values()}
    assert str(first.host.home) in homes
    assert len(homes) == 2
    assert not google.machines
    assert len(google.released) == 1
    assert google.told(folder.root) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_session_outlives_the_run(folder: Remote, google: colab.Colab, number: signal.Signals) -> None:
    (folder / "in/table.txt").write_text("slow=600\n")
    running = folder.begin(runners=RUNNERS)
    try:
        assert eventually(lambda: (folder / "log/0.log").exists() or google.bridges, 60)
        assert eventually(lambda: any(vm.host.pids("serve.py") for vm in google.machines.values()), 60)
        (vm,) = google.machines.values()
        running.send_signal(number)
        assert eventually(lambda: nothing_runs(vm), 15), vm.host.processes()
        assert eventually(lambda: not google.machines, 30)
        running.wait(60)
    finally:
        running.kill()
    assert google.released == [vm.endpoint]
    assert eventually(lambda: google.asked[-1] == "GET assignments", 20), "seen to be released"
    assert eventually(lambda: not folder.successors(), 20)
    assert not proxies(google)


def test_when_this_side_is_gone_the_session_releases_itself(folder: Remote, google: colab.Colab) -> None:
    (folder / "in/table.txt").write_text("slow=600\n")
    running = folder.begin("--warm-lease", "4", runners=RUNNERS)
    try:
        assert eventually(lambda: any(vm.host.pids("serve.py") for vm in google.machines.values()), 60)
        (vm,) = google.machines.values()
        for pid in folder.successors():  # as with a laptop that is closed
            os.kill(pid, signal.SIGKILL)
        running.kill()
        assert eventually(lambda: not google.machines, 30)
    finally:
        running.kill()
    assert google.asked[-1] == f"POST unassign {vm.endpoint} from inside"
    (folder / "in/table.txt").write_text("a=b\n")
    done = folder.run("--rerun-incomplete", "--nolock", runners=RUNNERS)
    assert done.code == 0, done.text
    folder.assert_whole()


def test_without_a_gpu_the_run_says_so(folder: Remote, google: colab.Colab) -> None:
    google.refuse = {"A100": 412}
    done = folder.run(runners=("colab:A100",))
    assert done.code == 1
    (message,) = [line for line in done.err.splitlines() if "is given up" in line]
    assert "Colab gives no session (A100: too many sessions, or a limit of this account)" in message
    assert "No runner is left" in message


@pytest.mark.slow
def test_the_whole_workflow_gives_the_same_bytes(
    finished: Project, new_project: Project, google: colab.Colab
) -> None:
    google.refuse = {"T4": 412}
    # As in the profile: jobs are told to work on a GPU, and the session that is to be had has none.
    new_project.settings.write_text(new_project.settings.read_text().replace("device: cpu", "device: cuda"))
    how = ["--profile", "colab", "--configfile", "config/test.yaml", "--warm-remote-python", sys.executable]
    done = new_project.sessionscribe("run", *how, "--warm-runner", "colab:T4,cpu")
    assert done.code == 0, done.text
    # What ran here has noted what it was told.
    made = {name: text.replace(b'"cuda"', b'"cpu"') for name, text in new_project.results().items()}
    assert made == finished.results()
    assert "no T4 (too many sessions, or a limit of this account); trying cpu" in done.text
    assert not google.machines
    (record,) = map(json.loads, (new_project / "logs/usage/runners.jsonl").read_text().splitlines())
    rules = {rule for rules in record["work"].values() for rule in rules}
    with_models = {"check_models", "detect_language", "transcribe_chunk", "embed_chunk", "cluster_speakers"}
    assert rules == with_models
    assert (record["runner"], record["machine"]) == ("colab:T4,cpu", "cpu")
