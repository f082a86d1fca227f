"""A real sshd on this machine, for one test: its own port, keys and home folder, and a way to break it."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from project import SAME_KERNEL

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def require_sshd() -> str:
    """Return sshd's path; skip the test where it cannot be started."""
    missing = [name for name in ("ssh", "ssh-keygen", "rsync") if shutil.which(name) is None]
    missing += [] if SSHD else ["sshd"]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (Debian: openssh-server, rsync)")
    if os.getuid() != 0:
        pytest.skip("sshd is started by root only")
    assert SSHD is not None
    return SSHD


class Host:
    """An sshd that serves this user with a home folder of its own.

    Args:
        folder: for its keys and files; ``folder/home`` is the home folder.
        name: what ssh calls it.
        address: where it listens.
        inside: command line prefix with which it is started, such as one that enters a network namespace.
        environment: variables of the sessions.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        address: str = "127.0.0.1",
        inside: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, self.name, self.address, self.inside = folder, name, address, inside
        self.home = folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.port = _free_port()
        for key in ("host_key", "key"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]
            subprocess.run(command, check=True)
        variables = {"HOME": str(self.home), "PATH": os.environ["PATH"], **SAME_KERNEL, **(environment or {})}
        settings = {
            "Port": self.port,
            "ListenAddress": address,
            "HostKey": folder / "host_key",
            "PidFile": folder / "sshd.pid",
            "AuthorizedKeysFile": folder / "key.pub",
            "UsePAM": "no",
            "StrictModes": "no",
            "PermitRootLogin": "yes",
            "MaxStartups": "100",
            "SetEnv": " ".join(f'"{key}={value}"' for key, value in variables.items()),
        }
        text = "".join(f"{key} {value}\n" for key, value in settings.items())
        (folder / "sshd_config").write_text(text)
        self.config = folder / "ssh_config"
        self.config.write_text(self.entry())
        self._process: subprocess.Popen[bytes] | None = None

    def entry(self) -> str:
        """Return the host's entry for an ssh configuration."""
        lines = {
            "HostName": self.address,
            "Port": self.port,
            "User": getpass.getuser(),
            "IdentityFile": self.folder / "key",
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
        }
        return f"Host {self.name}\n" + "".join(f"  {key} {value}\n" for key, value in lines.items())

    def start(self) -> None:
        """Start it and wait until it listens."""
        Path("/run/sshd").mkdir(parents=True, exist_ok=True)
        log = str(self.folder / "sshd.log")
        command = [*self.inside, require_sshd(), "-D", "-f", str(self.folder / "sshd_config"), "-E", log]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection((self.address, self.port), timeout=5):
                return
            assert self._process.poll() is None, Path(log).read_text()
            time.sleep(0.05)
        raise AssertionError("sshd does not answer")

    def stop(self) -> None:
        """Stop it: nobody gets in any more, connections that stand go on."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def cut(self) -> None:
        """End all connections."""
        for pid in _sessions(self.port):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def processes(self) -> list[str]:
        """Return the command lines of what runs for us there, guards, workers and what they started."""
        return [line for pid, line in _processes() if self._is_ours(pid)]

    def pids(self, part: str) -> list[int]:
        """Return the processes there with ``part`` in their command line."""
        return [pid for pid, line in _processes() if part in line and self._is_ours(pid)]

    def _is_ours(self, pid: int) -> bool:
        try:
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return False
        return f"HOME={self.home}".encode() in variables


def _processes() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if (
                entry.name.isdigit()
                and (entry / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
            ):
                yield int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()


def _sessions(port: int) -> list[int]:
    """Return the processes of sshd that serve a connection to a port."""
    found = subprocess.run(
        ["ss", "-Htnp", f"sport = :{port}"], capture_output=True, text=True, check=True
    ).stdout
    return sorted({int(part.split(",")[0]) for part in found.split("pid=")[1:]})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(folder: Path, name: str = "gpu-box", **more: object) -> Iterator[Host]:
    """Have a host for the length of a ``with``; no session of it is left behind."""
    with prepared(folder, name, **more) as host:
        host.start()
        yield host


@contextmanager
def prepared(folder: Path, name: str = "gpu-box", **more: object) -> Iterator[Host]:
    """Have a host that is off for the length of a ``with``; what was started of it is not left behind."""
    require_sshd()
    host = Host(folder, name, **more)  # type: ignore[arg-type]
    try:
        yield host
    finally:
        host.stop()
        host.cut()
        for pid in host.pids(""):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def eventually(condition: object, within_s: float) -> bool:
    """Wait for a condition to come true, and return whether it did."""
    assert callable(condition)
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


PYTHON = sys.executable
