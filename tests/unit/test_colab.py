"""Sessions on Colab, with the real command: made once, found again, seen to be released; never others'."""

from __future__ import annotations

import fcntl
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import colab
from colab import PINS, require_colab
from sessionscribe.core import locks
from sessionscribe.core.errors import UserError
from sessionscribe.runners import colab as runner
from sessionscribe.runners import colab_cli, colab_sessions
from sessionscribe.runners.colab_cli import Cli
from sessionscribe.runners.connection import Connection
from sessionscribe.runners.errors import DisconnectedError, UnusableError
from sessionscribe.runners.machine import Settings
from sessionscribe.runners.remote import RemoteWorker
from snakemake_executor_plugin_warm.pool import NoWorkerError, WorkerPool, WorkerSlot
from sshd import eventually

OFF = "colab:T4 is off: starting it"


@pytest.fixture
def said() -> list[str]:
    return []


def machine(said: list[str], *accelerators: str) -> runner.Colab:
    settings = Settings(PINS.parent, say=said.append)
    return runner.Colab("colab:T4", ",".join(accelerators) or "T4", settings)


def test_a_session_is_made_once_used_and_released(
    google: colab.Colab, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colab_sessions, "KEEP_ALIVE_S", 0.2)
    theirs = google.assigned()
    ours = machine(said)
    ours.stop()
    assert google.asked == [], "nothing to stop, nobody is asked"
    assert ours.seconds_left() == math.inf
    address = ours.start()
    monkeypatch.setattr(colab_sessions, "KEEP_ALIVE_S", 1000.0)
    assert google.asked == ["POST assign T4"]
    assert (address.machine_type, address.device) == ("T4", "")
    assert 12 * 3600 - 60 < ours.seconds_left() < 12 * 3600
    assert said == [OFF, "colab:T4: a session with T4, for 12 h 00 min at most"]
    (vm,) = [vm for vm in google.machines.values() if vm is not theirs]
    (private,) = (google.home / ".local/state/sessionscribe/colab").iterdir()
    assert private.stat().st_mode & 0o077 == 0
    connection = Connection("colab:T4", address)
    connection.open()
    assert connection.run("echo $HOME").strip() == str(vm.host.home)
    connection.close()
    assert eventually(lambda: vm.executed, 20), "the kernel was kept busy"
    ours._sessions.cli.unlock()  # as if this process had died, and nobody had released the session
    monkeypatch.chdir(tmp_path)  # which is of no account: it is the project's
    other = machine(said)
    assert other.start() == address
    assert google.asked.count("POST assign T4") == 1
    other.stop()
    assert google.released == [vm.endpoint]
    assert google.asked[-1] == "GET assignments", "it was seen to be released"
    assert list(google.machines.values()) == [theirs]
    made, released = said[2:]
    assert made.startswith("colab:T4: a session with T4, for 1")
    assert released == "colab:T4 is stopped"
    ours.stop()
    assert google.asked[-1] == "GET assignments"


def test_what_colab_takes_away_and_what_is_nearly_over_is_replaced(
    google: colab.Colab, said: list[str], tmp_path: Path
) -> None:
    ours = machine(said)
    ours.start()
    (first,) = google.machines.values()
    google.take_away(first)
    ours.start()
    (second,) = google.machines.values()
    assert said[2:] == [
        "colab:T4: Colab took the session away after 0 min",
        OFF,
        "colab:T4: a session with T4, for 12 h 00 min at most",
    ]
    how = Settings(tmp_path, tmp_path)
    worker = RemoteWorker(ours, how)
    assert worker.alive
    ours._limit_s = 50
    assert 0 < ours.seconds_left() < 50
    assert not worker.alive, "no job is given to it any more"
    ours.start()
    (third,) = google.machines.values()
    assert len({first.endpoint, second.endpoint, third.endpoint}) == 3
    assert google.released == [second.endpoint]
    # The command forgets a session that it takes for gone, as after an answer of 401.
    (store,) = google.home.rglob("sessions.json")
    store.write_text("{}")
    ours.stop()
    assert not google.machines


def test_what_is_not_to_be_had_is_followed_by_the_next(
    google: colab.Colab, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLAB_CLI_ASSIGN_RETRIES", "0")
    google.refuse = {"A100": 400, "H100": 412, "T4": 503}
    ours = machine(said, "A100", "T4", "cpu")
    assert ours.start().device == "cpu"
    assert said[1:3] == [
        "colab:T4: no A100 (not for this account); trying T4",
        "colab:T4: no T4 (none is free); trying cpu",
    ]
    ours.stop()
    assert not google.machines
    refused = machine(said, "H100")
    with pytest.raises(UnusableError, match=r"no session \(H100: too many sessions, or a limit of this"):
        refused.start()
    refused.stop()
    with pytest.raises(DisconnectedError, match=r"Colab gives no session now \(T4: none is free\)"):
        machine(said, "T4").start()
    google.refuse = {"T4": 403, "L4": 429}
    with pytest.raises(UnusableError, match=r"no session \(T4: this account may not use Colab\)"):
        machine(said, "T4").start()
    with pytest.raises(DisconnectedError, match=r"no session now \(L4: Too Many Requests\)"):
        machine(said, "L4").start()


@pytest.mark.parametrize("status", [403, 404])
def test_where_ssh_is_refused_the_session_is_released_at_once_and_a_line_names_another_way(
    google: colab.Colab, said: list[str], tmp_path: Path, status: int
) -> None:
    google.no_ssh = status
    ours = machine(said)
    how = Settings(tmp_path, tmp_path)
    slot = WorkerSlot("colab:T4", lambda _log: RemoteWorker(ours, how), 1, release=ours.stop)
    began = time.monotonic()
    with pytest.raises(NoWorkerError):
        WorkerPool([slot], 60.0, say=said.append).run({"script": "a.py", "log": []}, 0.0)
    assert time.monotonic() - began < runner.CONNECT_S
    assert google.asked.count("POST assign T4") == 1, "it is not tried again"
    assert (len(google.released), google.machines) == (1, {})
    (line,) = [line for line in said if "given up" in line]
    assert f"Colab does not let this account in by ssh (HTTP {status})" in line
    assert "docs/runners/colab.md, Without ssh" in line
    assert "## Without ssh" in (PINS.parent / "docs/runners/colab.md").read_text()
    assert "\n" not in line


@pytest.mark.parametrize("answer", ["No such command", ""])
def test_a_command_on_the_path_that_has_no_ssh_is_not_used(
    answer: str, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = tmp_path / "colab", require_colab()
    theirs.write_text(f"#!/bin/sh\necho '{answer}'\n" if answer else f'#!/bin/sh\nexec {ours} "$@"\n')
    theirs.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(colab_cli, "user_cache_path", lambda _: ours.parents[3])
    assert colab_cli.find_program(PINS, said.append) == (ours if answer else theirs)
    assert bool(said) == bool(answer)
    assert all("has no `ssh`" in line and "uv tool upgrade google-colab-cli" in line for line in said)
    assert not list(tmp_path.rglob("colab.log"))


def test_a_login_that_does_not_hold(google: colab.Colab, said: list[str]) -> None:
    google.log_in(expired=True)
    ours = machine(said)
    with pytest.raises(UnusableError, match=r"is not valid .* Log in by `.*colab sessions`"):
        ours.start()
    assert google.asked == []
    google.log_in()
    ours.start()
    google.logged_in = False
    ours.halt_s = 1.0
    with pytest.raises(UserError, match=r"may still be running \(.*the login .* Manage sessions"):
        ours.stop()
    assert google.asked[-1].endswith("from inside"), "it was told by ssh, but nobody can see that"
    assert not google.machines
    google.logged_in, ours._gave_up = True, False
    ours.stop()


def test_without_a_login(google: colab.Colab, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (google.home / ".config/colab-cli/token.json").unlink()
    with pytest.raises(UnusableError, match="nobody is logged in to Colab here"):
        machine(said).start()
    login = {"type": "authorized_user", "client_id": "us", "client_secret": "no", "refresh_token": "old"}
    (google.home / "login.json").write_text(json.dumps(login))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(google.home / "login.json"))
    with pytest.raises(UnusableError, match="the login to Colab is not valid"):
        machine(said).start()


def test_a_session_of_a_killed_process_is_released(
    google: colab.Colab, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom sessionscribe.runners.colab import Colab\n"
        "from sessionscribe.runners.machine import Settings\n"
        f"Colab('colab:T4', 'T4', Settings(Path({str(PINS.parent)!r}))).start()\nsys.stdin.read()"
    )
    google.slow_s = 2.0
    running = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    # In the middle of it: Colab is asked, and neither the command nor this side knows yet what it gives.
    assert eventually(lambda: google.asked == ["POST assign T4"], 60)
    running.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(runner, "OTHER_RUN_S", 0.0)
    with pytest.raises(UnusableError, match="is in use by another run"):
        machine(said).start()
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert eventually(lambda: google.released and not google.machines and not google.told(), 30)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command in a home folder of its own, where calls last."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "login.json")
    return Cli(Path("/bin/true"), tmp_path / "private")


@pytest.fixture
def hanging(cli: Cli) -> Iterator[subprocess.Popen[bytes]]:
    """A call that does not end, of a process that was killed."""
    with (cli.home / "calls.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = subprocess.Popen(["sleep", "20"], pass_fds=(lock.fileno(),))
    yield child
    child.kill()
    child.wait()


def test_a_call_that_hangs_is_not_waited_for_without_end(
    cli: Cli, hanging: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colab_cli, "CALL_S", 0.2)
    with pytest.raises(DisconnectedError, match=r"no end of an earlier call of `colab` within 0\.3 s"):
        cli.call("stop", limit_s=0.3)
    with pytest.raises(DisconnectedError, match="no end of an earlier call"):
        cli.remember({"name": "ours", "endpoint": "gpu"})
    hanging.kill()
    assert cli.call("stop", limit_s=20.0) == ""


def test_what_is_remembered_is_whole_and_for_this_user_only(cli: Cli) -> None:
    cli.remember({"name": "theirs", "endpoint": "cpu"})
    (store,) = cli.home.rglob("sessions.json")
    (reader := cli.home / "before").hardlink_to(store)
    before = reader.read_text()
    cli.remember({"name": "ours", "endpoint": "gpu"})
    assert reader.read_text() == before, "whoever reads meanwhile reads all of it"
    assert [about["endpoint"] for about in cli.known().values()] == ["cpu", "gpu"]
    assert store.stat().st_mode & 0o077 == 0


def is_free(home: Path) -> bool:
    with (home / "use.lock").open("w") as file:
        return locks.wait_for(file, 0)


def test_who_releases_what_was_left_keeps_others_out_until_then(
    cli: Cli, hanging: subprocess.Popen[bytes], said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "find_program", lambda *_: cli.program)
    ours = machine(said)
    ours._home = cli.home
    with ThreadPoolExecutor(1) as pool:
        releasing = pool.submit(ours.stop_orphan)
        assert eventually(lambda: not is_free(cli.home), 10)
        hanging.kill()
        releasing.result(20)
    assert is_free(cli.home)


def test_what_is_let_go_while_colab_gives_it_is_released(google: colab.Colab, said: list[str]) -> None:
    google.slow_s = 2.0
    ours = machine(said)
    starting = threading.Thread(target=ours.start)
    starting.start()
    assert eventually(lambda: google.asked == ["POST assign T4"], 30)
    ours.stop()
    starting.join()
    assert said[1] == "colab:T4: Colab is about to answer; its session will be released at once"
    assert len(google.released) == 1
    assert not google.machines


def test_names() -> None:
    assert runner.accelerators_of("colab:t4,L4,CPU", "t4,L4,CPU") == ("T4", "L4", "cpu")
    for argument in ("", "P100", "T4,", "T4 L4"):
        with pytest.raises(UserError):
            runner.accelerators_of(f"colab:{argument}", argument)


def test_without_a_python_that_can_have_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnusableError, match=r"needs Python 3\.12 or newer"):
        colab_cli.find_program(PINS)
    assert "there is no Python 3.12 or newer" in capsys.readouterr().err
    with pytest.raises(UnusableError, match="uv tool install google-colab-cli"):
        colab_cli.find_program(tmp_path)
