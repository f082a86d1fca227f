"""The guard on a machine: nothing of a worker outlives home, whatever became of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sessionscribe.runners.worker_connection import GRACE_S
from snakemake_executor_plugin_warm.settings import ExecutorSettings
from sshd import eventually

GUARD = Path(__file__).parents[2] / "scripts/sessionscribe/runners/guard.py"
LONGEST_KILL_S = 10
"""What processes that cannot be killed delay it."""
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()  # as a daemon does: a session of its own, and a parent that is gone
    if os.fork() == 0:
        open("daemon", "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
os.wait()
while not (os.path.exists("daemon") and open("daemon").read()):
    time.sleep(0.01)
print("at work", os.environ["GIVEN"], flush=True)
for line in sys.stdin:
    print("heard", line.strip(), flush=True)
time.sleep(600)
"""

if not sys.platform.startswith("linux"):
    pytest.skip("the guard needs Linux to keep hold of daemons", allow_module_level=True)


class Home:
    """Home's end of a guard."""

    def __init__(self, folder: Path, program: str = STUBBORN, **told: Any) -> None:
        self.folder = folder
        about = {"argv": [sys.executable, "-c", program], "cwd": str(folder), "env": {"GIVEN": "value"}}
        self.guard = subprocess.Popen(
            [sys.executable, str(GUARD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.say(json.dumps({**about, "lease_s": 60, "grace_s": 0.2, "stop": "", **told}))
        self.about = json.loads(self.hear())

    def say(self, line: str) -> None:
        assert self.guard.stdin
        self.guard.stdin.write(f"{line}\n".encode())
        self.guard.stdin.flush()

    def hear(self) -> str:
        assert self.guard.stdout
        return self.guard.stdout.readline().decode().strip()

    def left(self) -> list[int]:
        """Return what still runs of worker and guard."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                if (entry / "cwd").resolve() == self.folder and state not in "ZX":
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def everything_is_gone(self, within_s: float = 10) -> bool:
        return eventually(lambda: not self.left() and self.guard.poll() is not None, within_s)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    assert made.hear() == "at work value"
    yield made
    _clear(made)


def _clear(home: Home) -> None:
    home.guard.kill()
    for pid in home.left():
        os.kill(pid, signal.SIGKILL)


def test_lines_go_to_the_worker_and_heartbeats_do_not(home: Home) -> None:
    home.say("")
    home.say("one")
    home.say("\n\ntwo")
    assert [home.hear(), home.hear()] == ["heard one", "heard two"]
    assert home.about["python"].startswith("3.")
    assert home.about["guard"] == home.guard.pid


@pytest.mark.parametrize("how", ["end of file", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_when_the_connection_ends_everything_does(home: Home, how: str) -> None:
    assert len(home.left()) == 2, "the worker and its daemon"
    if how == "end of file":
        assert home.guard.stdin
        home.guard.stdin.close()
    else:
        home.guard.send_signal(signal.Signals[how])
    if how == "SIGKILL":  # of the guard itself: the kernel ends the worker
        assert eventually(lambda: len(home.left()) < 2, 10)
    else:
        assert home.everything_is_gone()
        assert home.guard.returncode == 143


def test_when_home_says_nothing_everything_ends_and_the_machine_is_stopped(tmp_path: Path) -> None:
    home = Home(tmp_path, lease_s=1.5, stop=f"touch {tmp_path}/stopped")
    try:
        assert home.hear() == "at work value"
        began = time.monotonic()
        while time.monotonic() - began < 2.5:
            home.say("")
            time.sleep(0.2)
        assert len(home.left()) == 2, "heartbeats keep it"
        assert home.everything_is_gone(8)
        assert eventually((tmp_path / "stopped").exists, 20)
    finally:
        _clear(home)


def test_by_default_a_machine_stops_within_two_minutes() -> None:
    assert ExecutorSettings().lease + GRACE_S + LONGEST_KILL_S < 120


def test_an_end_in_order_stops_no_machine(tmp_path: Path) -> None:
    home = Home(tmp_path, "input()", lease_s=0.5, stop=f"touch {tmp_path}/stopped")
    home.say("end")
    assert home.guard.stdin
    home.guard.stdin.close()
    assert home.everything_is_gone()
    time.sleep(1)
    assert not (tmp_path / "stopped").exists()


def test_the_next_guard_relieves_the_one_before_and_the_machine_stays(tmp_path: Path) -> None:
    first = Home(tmp_path, lease_s=3.0, stop=f"touch {tmp_path}/stopped")
    assert first.hear() == "at work value"
    assert first.guard.stdin
    first.guard.stdin.close()  # it now waits whether somebody comes back
    (tmp_path / "daemon").unlink()
    second = Home(tmp_path, lease_s=60.0)
    try:
        assert second.hear() == "at work value"
        assert first.guard.wait(10) == 143
        assert len(second.left()) == 2
        time.sleep(3)
        assert not (tmp_path / "stopped").exists()
    finally:
        _clear(second)


def test_the_workers_exit_code_is_passed_on(tmp_path: Path) -> None:
    home = Home(tmp_path, "import os; os.kill(os.getpid(), 9)")
    assert home.guard.wait(10) == 128 + 9
    home = Home(tmp_path, "raise SystemExit(7)")
    assert home.guard.wait(10) == 7
