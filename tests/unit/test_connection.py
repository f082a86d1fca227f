"""The connection to a machine: commands and files over it, and how it says that it cannot."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import sshd
from sessionscribe.core.errors import UserError
from sessionscribe.runners.connection import Connection
from sessionscribe.runners.errors import DiedError, DisconnectedError, UnusableError
from sessionscribe.runners.machine import Address, Settings
from sessionscribe.runners.registry import machine_of
from sessionscribe.runners.remote_workspace import FIND_PYTHON
from sessionscribe.runners.worker_connection import WorkerConnection
from sshd import Host, eventually

ROOT = Path(__file__).parents[2]
GUARD = ROOT / "scripts/sessionscribe/runners/guard.py"
SERVE = ROOT / "scripts/snakemake_executor_plugin_warm/serve.py"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with sshd.started(tmp_path_factory.mktemp("host")) as host:
        yield host


@pytest.fixture
def connection(host: Host) -> Iterator[Connection]:
    made = Connection("ssh:gpu-box", Address("gpu-box", ("-F", str(host.config))))
    made.open()
    yield made
    made.close()


def test_commands_share_one_connection_and_end_with_it(connection: Connection, host: Host) -> None:
    log = (host.folder / "sshd.log").read_text().count("Accepted publickey")
    assert connection.run("echo one; echo two") == "one\ntwo\n"
    assert connection.run('exec sh -c \'printf "%s" "$HOME"\'') == str(host.home)
    with pytest.raises(UnusableError, match=r"\(not so\)"):
        connection.run("echo at all; echo not so >&2; exit 3")
    assert (host.folder / "sshd.log").read_text().count("Accepted publickey") == log
    sleeper = connection.start("sleep 600")
    assert eventually(lambda: host.pids("sleep 600"), 5)
    connection.close()
    assert sleeper.wait(10) != 0
    with pytest.raises(DisconnectedError):
        connection.run("true")
    assert not connection.alive


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Welcome to the cluster\\n", "`Welcome to the cluster`"),
        ("\\n", "`an empty line`"),
        ("loading modules ... ", "`loading modules ... ready`"),
    ],
)
def test_a_shell_that_is_not_silent_is_said_so_at_once(
    said: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with an `echo` in `~/.bashrc`: rsync would fail, and the end there waits for ours."""
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\nprintf '{said}'\necho ready\nexec cat > /dev/null\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    noisy = Connection("ssh:box", Address("box", connect_s=20))
    began = time.monotonic()
    with pytest.raises(UnusableError, match="rsync needs a silent shell") as error:
        noisy.open()
    assert f"the shell there prints {told} before a command" in str(error.value)
    assert time.monotonic() - began < 10
    assert noisy._folder is not None
    assert not noisy._folder.exists()


def test_one_that_says_half_a_line_and_stops_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\nprintf 'Password: '\nexec sleep 60\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    began = time.monotonic()
    with pytest.raises(UnusableError, match="prints `Password: `"):
        Connection("ssh:box", Address("box", connect_s=1)).open()
    assert time.monotonic() - began < 15


def test_a_command_without_an_end_is_a_lost_connection(connection: Connection) -> None:
    with pytest.raises(DisconnectedError, match=r"no end of `sleep 60` within 0\.3 s"):
        connection.run("sleep 60", timeout_s=0.3)
    assert connection.run("echo well") == "well\n"


def test_files_travel_with_their_paths_once(connection: Connection, host: Host, tmp_path: Path) -> None:
    names = ["a b/c'd $(x).txt", "deep/er/file.bin"]
    for name in names:
        (tmp_path / "here" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "here" / name).write_bytes(os.urandom(100_000))
    (tmp_path / "here/link").symlink_to("deep/er/file.bin")
    files = [(tmp_path / "here", name) for name in [*names, "link"]]
    folder = str(host.home / "with space")
    connection.send(files, folder)
    sent = connection.sent
    assert 300_000 < sent < 310_000
    connection.send(files, folder)
    assert connection.sent - sent < 1000
    connection.fetch(names, folder, tmp_path / "back")
    for name in names:
        content = (tmp_path / "here" / name).read_bytes()
        assert (tmp_path / "back" / name).read_bytes() == content
        assert Path(folder, name).read_bytes() == content
    assert Path(folder, "link").read_bytes() == (tmp_path / "here" / names[1]).read_bytes()
    assert 200_000 < connection.received < 210_000


def test_an_interrupted_file_goes_on_where_it_stopped(
    connection: Connection, host: Host, tmp_path: Path
) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "large.bin").write_bytes(content)
    folder = host.home / "resumed"
    (folder / ".rsync-partial").mkdir(parents=True)
    (folder / ".rsync-partial/large.bin").write_bytes(content[:2_000_000])
    connection.send([(tmp_path, "large.bin")], str(folder))
    assert (folder / "large.bin").read_bytes() == content
    assert connection.sent < 1_100_000


def test_a_file_that_is_missing_here_is_named(connection: Connection, host: Host, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"missing\.txt"):
        connection.send([(tmp_path, "missing.txt")], str(host.home))


def test_while_the_connection_is_gone_nobody_makes_another(connection: Connection, host: Host) -> None:
    before = (host.folder / "sshd.log").read_text().count("Accepted publickey")
    host.cut()
    assert eventually(lambda: not connection.alive, 10)
    with pytest.raises(DisconnectedError):
        connection.run("true")
    with pytest.raises(DisconnectedError):
        connection.send([(ROOT, "Makefile")], str(host.home))
    assert (host.folder / "sshd.log").read_text().count("Accepted publickey") == before


def test_a_job_that_takes_too_long_costs_its_worker(connection: Connection, host: Host) -> None:
    (host.home / "slow.py").write_text("import time; time.sleep(600)")
    channel = WorkerConnection(
        connection,
        f"exec {sys.executable} {GUARD}",
        [sys.executable, str(SERVE)],
        cwd=str(host.home / "work"),
        environment={},
        grace_s=1,
    )
    named = {name: [] for name in ("input", "output", "params", "wildcards", "resources", "log")}
    began = time.monotonic()
    with pytest.raises(DiedError, match="gave no answer within 1 s"):
        channel.ask({**named, "script": str(host.home / "slow.py"), "rule": "r", "threads": 1}, 1.0)
    assert time.monotonic() - began < 20
    channel.process.wait(10)
    assert eventually(lambda: not host.pids("serve.py"), 10)


def test_without_python_there_the_machine_is_of_no_use(connection: Connection, host: Host) -> None:
    old = host.home / "python3.6"
    old.write_text(
        "#!/bin/sh\necho '  while (left := 1):' >&2; echo 'SyntaxError: invalid syntax' >&2; exit 1\n"
    )
    old.chmod(0o755)
    for python, why in (("pythonx", "not found"), (str(old), r"\(SyntaxError: invalid syntax\)")):
        with pytest.raises(UnusableError, match=f"{why}.*Install Python"):
            WorkerConnection(connection, f"exec {python} guard.py", [], cwd=str(host.home), environment={})


def test_a_shell_that_runs_no_commands_is_final(tmp_path: Path) -> None:
    with sshd.started(tmp_path / "box", "box") as box:
        key = (box.folder / "key.pub").read_text()
        (box.folder / "key.pub").write_text(f'command="bash -r -c \\"$SSH_ORIGINAL_COMMAND\\"" {key}')
        with pytest.raises(
            UnusableError, match=r"runs no commands \(.*restricted.*`ssh box true` work first"
        ):
            Connection("ssh:box", Address("box", ("-F", str(box.config)))).open()


def test_a_hardened_sshd_and_a_python3_that_is_too_old(tmp_path: Path) -> None:
    """Lynis suggests two sessions; on RHEL 8, `python3` is 3.6 even if a newer one is installed."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").symlink_to("/bin/false")
    (tmp_path / "bin/python3.13").symlink_to(sys.executable)
    path = f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}"
    with sshd.prepared(tmp_path / "box", "box", environment={"PATH": path}) as box:
        with (box.folder / "sshd_config").open("a") as settings:
            settings.write("MaxSessions 2\n")
        box.start()
        connection = Connection("ssh:box", Address("box", ("-F", str(box.config))))
        connection.open()
        try:
            assert connection.run(f"exec sh -c '{FIND_PYTHON}'") == "python3.13\n"
            connection.start("sleep 600")
            assert eventually(lambda: box.pids("sleep 600"), 5)
            for use in (
                lambda: connection.run("true"),
                lambda: connection.send([(ROOT, "Makefile")], str(box.home)),
            ):
                with pytest.raises(UnusableError, match=r"too few sessions per connection.*MaxSessions"):
                    use()
        finally:
            connection.close()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shh:box", "Did you mean `ssh`?"),
        ("aws", "There are: local, "),
        ("ssh:", "names no host"),
        ("ssh:-oProxyCommand=x", "names no host"),
        ("ssh:ssh://box:22", "a port belongs into"),
        ("ssh:me@box:22", "a port belongs into"),
        ("ssh:[::1]", "names no host"),
        ("ssh:me@", "names no host"),
    ],
)
def test_a_runner_that_is_none_is_said_so(name: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        machine_of(name, Settings(Path("/project")))
    assert message in str(error.value)


def test_a_host_is_what_ssh_knows_and_stays_as_it_is() -> None:
    machine_of("ssh:me@fe80::1%eth0", Settings(Path("/project")))
    machine = machine_of("ssh:me@box", Settings(Path("/project"), ssh=("-F", "config")))
    assert machine.start() == Address("me@box", ("-F", "config"))
    assert machine.stop_command == ""
    assert machine.seconds_left() > 1e9


OLD_OPTIONS = r"""-[vqcarRbudlLkKHpEogDtOSnWxBeITyCF0hPiz46]+
--(rsync-path|files-from|partial-dir|timeout|stats|from0|rsh|relative|times|copy-links|server|sender)(=.*)?"""
"""Options of rsync 2.6.9 (those that matter here), which macOS had until 15, and its openrsync has, too."""


def stand_in(folder: Path, *, as_old: bool) -> Path:
    """Put an rsync into a folder that refuses what macOS's own does not know, or everything."""
    folder.mkdir()
    known = "|".join(f"^{line}$" for line in OLD_OPTIONS.splitlines()) if as_old else "^$"
    real = shutil.which("rsync")
    program = f"""#!{sys.executable}
import os, re, sys
options = [word for word in sys.argv[1:] if word.startswith("-") and word != "-"]
options = [word for n, word in enumerate(options) if "--server" not in options[: n + 1]]
wrong = next((word for word in options if not re.search({known!r}, word)), None)
if "--server" in sys.argv:  # after an `e` come capabilities, not options
    wrong = next((word for word in sys.argv if re.match("-[^-e]*s", word)), None)
remote = [word for word in sys.argv[1:] if re.match(r"[^/-][^/]*:|:", word)]
if wrong or len(remote) > 1:
    print(f"rsync: {{wrong or remote[1]}}: unknown option", file=sys.stderr)
    print("rsync error: syntax or usage error (code 1) at main.c(1333) [client=2.6.9]", file=sys.stderr)
    sys.exit(1)
old = ["--protocol=29", "--old-args"] if "--server" not in sys.argv else []
os.execv({real!r}, ["rsync", *old, *sys.argv[1:]])
"""
    (folder / "rsync").write_text(program)
    (folder / "rsync").chmod(0o755)
    return folder


def test_an_rsync_as_old_as_that_of_macos_will_do_here_and_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = stand_in(tmp_path / "old", as_old=True)
    for wrong in (["-rtLRs", "a", "b"], ["--server", "-tLRse.LsfxC", ".", "b"]):
        assert subprocess.run([old / "rsync", *wrong], capture_output=True, check=False).returncode == 1
    path = f"{old}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    with sshd.started(tmp_path / "box", environment={"PATH": path}) as box:
        connection = Connection("ssh:box", Address(box.name, ("-F", str(box.config))))
        connection.open()
        test_files_travel_with_their_paths_once(connection, box, tmp_path)
        connection.close()


def test_an_rsync_that_cannot_do_it_is_final_and_said_with_what_to_do(
    connection: Connection, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{stand_in(tmp_path / 'bad', as_old=False)}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(
        UnusableError, match=r"the rsync here cannot be used .* `brew install rsync`\)"
    ) as error:
        connection.send([(ROOT, "Makefile")], str(host.home))
    assert "\n" not in str(error.value)


def test_a_machine_without_rsync_is_named_as_that(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for program in ("sh", "mkdir", "cat"):
        (tmp_path / "bin" / program).symlink_to(shutil.which(program) or "")
    with sshd.started(tmp_path / "bare", environment={"PATH": str(tmp_path / "bin")}) as bare:
        connection = Connection("ssh:bare", Address(bare.name, ("-F", str(bare.config))))
        connection.open()
        try:
            with pytest.raises(UnusableError, match=r"^ssh:bare: rsync is not installed there\. Install it"):
                connection.send([(ROOT, "Makefile")], str(bare.home))
            with pytest.raises(UnusableError, match="rsync is not installed there"):
                connection.fetch(["Makefile"], str(bare.home), tmp_path / "back")
        finally:
            connection.close()


BOX = """Usage: colab [OPTIONS] COMMAND [ARGS]...
Try 'colab -h' for help.
\x1b[31m╭─ Error ──────────────╮\x1b[0m
│ No such command      │
│ 'ssh'.               │
╰──────────────────────╯
"""


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (BOX, "No such command 'ssh'."),
        ("Traceback\n+-----+\n| gone |\n+-----+\n\n", "gone"),
        ("  × No solution found:\n  ╰─▶ there is no torch 9\n", "there is no torch 9"),
        ("@@@@@@\nHost key verification failed.\r\n", "Host key verification failed."),
        (
            "c: line 3: Bad configuration option: useKeychain\nc: terminating, 1 bad options\n",
            "c: line 3: Bad configuration option: useKeychain",
        ),
        (
            "Received disconnect from ::1:2: Too many authentication failures\nDisconnected from ::1\n",
            "Received disconnect from ::1:2: Too many authentication failures",
        ),
        (
            "channel 0: open failed: Connection refused\nstdio forwarding failed\n",
            "channel 0: open failed: Connection refused",
        ),
        ("=====\n", "ssh gives no reason"),
    ],
)
def test_the_cause_of_a_failed_connection_is_the_message_in_its_frame(
    said: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "said").write_text(
        f"{said}Connection closed by UNKNOWN port 65535\n" if "=" not in said else said
    )
    (tmp_path / "ssh").write_text(f"#!/bin/sh\ncat {tmp_path}/said >&2; exit 255\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises((DisconnectedError, UnusableError), match=rf"\({re.escape(why)}\)"):
        Connection("ssh:box", Address("box", connect_s=20)).open()
