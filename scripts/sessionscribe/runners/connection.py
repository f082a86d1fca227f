"""One multiplexed ssh connection to a machine, for commands and for files (by rsync).

It uses OpenSSH with the user's own configuration. All commands share the connection that ``open`` makes. If
it is lost, they fail; they never make another one. The shell at its other end waits for the end of its input
and then cuts the connection, so nothing of it outlives this process, however that ends.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from sessionscribe.core.errors import UserError, cause, visible
from sessionscribe.runners.errors import DisconnectedError, UnusableError
from sessionscribe.runners.machine import Address

KEEP_OPEN = "p=$PPID; echo ready; cat >/dev/null; kill $p"
QUIET = (
    "BatchMode=yes",
    "RequestTTY=no",
    "RemoteCommand=none",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
)
MASTER = ("ControlMaster=yes", "ControlPersist=no", "ServerAliveCountMax=3")
HOPELESS = (
    "Permission denied (",
    "Host key verification failed",
    "Too many authentication failures",
    "Unable to negotiate",
    "invalid characters",
    "Bad owner or permissions",
    "Bad configuration option",
    "Unsupported option",
    "no argument after keyword",
)
"""Parts of ssh's messages after which a retry is useless."""
TOO_MANY_SESSIONS = "Session open refused by peer"
CONSEQUENCES = (
    "kex_exchange_identification:",
    "Connection closed by",
    "Connection reset by",
    "stdio forwarding failed",
    "Disconnected from",
    "rsync error:",
    "rsync: connection unexpectedly closed",
)
"""Beginnings of messages of ssh and rsync that only follow from an earlier one."""
NO_CONNECTION = 255
RSYNC_UNABLE = (1, 2, 4)
"""rsync's exit codes if one side does not know an option or the protocol."""
RSYNC_LOST = (10, 12, 30, 35, 255)
NO_RSYNC = "sessionscribe: no rsync"
IN_FOLDER = (
    f"command -v rsync >/dev/null || {{ echo {shlex.quote(NO_RSYNC)} >&2; exit 127; }}; "
    'mkdir -p "$0" && cd "$0" && exec rsync "$@"'
)
"""A shell script for the machine: run rsync in the folder ``$0``."""
FULL = ("No space left on device", "Disk quota exceeded")
PREFIX = "sessionscribe-ssh-"
STATISTIC = re.compile(r"^Total bytes (sent|received): ([\d,.]+)$", re.MULTILINE)


class Connection:
    """A connection, made by ``open``.

    Args:
        name: the runner's name, for messages.
        address: how ssh reaches the machine.
        alive_s: seconds without an answer after which the connection counts as lost.

    Attributes:
        sent: bytes that rsync has sent.
        received: bytes that rsync has received.
    """

    def __init__(self, name: str, address: Address, *, alive_s: float = 30.0) -> None:
        self.name, self.address, self._alive_s = name, address, alive_s
        self.sent = self.received = 0
        self._counting = threading.Lock()
        self._folder: Path | None = None
        self._master: subprocess.Popen[bytes] | None = None

    def open(self) -> None:
        """Connect.

        Raises:
            DisconnectedError: the connection failed; a retry may succeed.
            UnusableError: a retry is useless, for example because the key is refused.
        """
        for program in ("ssh", "rsync"):
            if shutil.which(program) is None:
                hint = "Install openssh-client and rsync here (and rsync there)"
                what = f"`{program}` is not installed on this machine"
                raise UnusableError(what, where=self.name, hint=hint)
        # The path of a control socket is limited to some 90 characters, so it cannot be in the project.
        self._folder = folder_of_process(Path("/tmp"), PREFIX)
        alive = f"ServerAliveInterval={max(1, round(self._alive_s / 3))}"
        options = self._ssh("-M", *_options(*MASTER, alive))
        output, errors = self._folder / "stdout", self._folder / "stderr"
        with output.open("wb") as stdout, errors.open("wb") as stderr:
            self._master = subprocess.Popen(
                [*options, self.address.destination, f"exec sh -c {shlex.quote(KEEP_OPEN)}"],
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,  # Ctrl-C is not for ssh
            )
        until = time.monotonic() + self.address.connect_s
        while b"\n" not in output.read_bytes() and self.alive and time.monotonic() < until:
            time.sleep(0.01)
        lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
        if lines[:1] == ["ready"]:
            return
        ended = not self.alive
        self._cut()  # only then ssh's messages are complete
        code = self._master.returncode if ended else NO_CONNECTION
        said = errors.read_text(encoding="utf-8", errors="replace").strip()
        self.close()
        if lines:
            line = next((line for line in lines if line.strip() not in ("", "ready")), "an empty line")
            what = f"the shell there prints `{visible(line[:80])}` before a command, or instead of it"
            hint = "rsync needs a silent shell: print that only on terminals (see `~/.bashrc` there)"
            raise UnusableError(what, where=self.name, hint=hint)
        otherwise = "ssh gives no reason" if ended else f"no answer within {self.address.connect_s:g} s"
        reason = hopeless(said) or cause(said, otherwise, besides=CONSEQUENCES)
        for sign, what, hint in self.address.refusals:
            if sign in said:
                raise UnusableError(what, where=self.name, hint=hint)
        destination = self.address.destination
        if 0 <= code < NO_CONNECTION:  # not ssh's own code, but that of the shell there
            what = f"the shell there runs no commands ({cause(said, f'exit code {code}')})"
            raise UnusableError(what, where=self.name, hint=f"Make `ssh {destination} true` work first")
        if hopeless(said):
            hint = f"Make `ssh {destination}` work without a prompt first"
            raise UnusableError(f"ssh cannot log in ({reason})", where=self.name, hint=hint)
        raise DisconnectedError(f"no connection to {self.name} ({reason})")

    @property
    def alive(self) -> bool:
        """Whether the connection exists, as far as ssh knows."""
        return self._master is not None and self._master.poll() is None

    def _ssh(self, *options: str) -> list[str]:
        # ssh uses the first value of each option, so the user's come last.
        return ["ssh", "-S", f"{self._folder}/c", *options, *_options(*QUIET), *self.address.options]

    def _shared(self) -> list[str]:
        """Return the command line of an ssh that only uses the present connection."""
        return self._ssh(*_options("ControlMaster=no", "ProxyCommand=false"))

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Start a shell command there, with pipes to all its streams."""
        return subprocess.Popen(
            [*self._shared(), self.address.destination, command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, command: str, *, timeout_s: float = 60.0) -> str:
        """Run a shell command there and return its standard output.

        Raises:
            UnusableError: the command failed.
            DisconnectedError: the connection failed, or the command did not end in time.
        """
        process = self.start(command)
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            for stream in (process.stdin, process.stdout, process.stderr):
                assert stream is not None
                stream.close()  # not read to their ends: the shared connection holds them open
            what = f"{self.name}: no end of `{command[:60]}` within {timeout_s:g} s"
            raise DisconnectedError(what) from None
        said = err.decode(errors="replace").strip()
        if process.returncode == NO_CONNECTION:
            raise self.lost(said)
        if process.returncode:
            reason = cause(said, f"exit code {process.returncode}")
            hint = "Make room there, or choose another folder with `warm-remote-dir`"
            raise UnusableError(f"our folder there cannot be used ({reason})", where=self.name, hint=hint)
        return out.decode(errors="replace")

    def lost(self, said: str) -> DisconnectedError | UnusableError:
        """Return the error for a command that has no connection (any more), from what ssh has printed."""
        if TOO_MANY_SESSIONS in said:
            what, hint = "sshd there allows too few sessions per connection", "Raise its `MaxSessions` to 10"
            return UnusableError(what, where=self.name, hint=hint)
        reason = cause(said, besides=CONSEQUENCES)
        return DisconnectedError(f"the connection to {self.name} is lost ({reason})")

    def send(self, files: Iterable[tuple[Path, str]], folder: str) -> None:
        """Copy files to a folder there, except those that have the same size and time there.

        Args:
            files: for each a folder here, and its path relative to both folders.
            folder: the folder there, absolute.

        Raises:
            DisconnectedError: the connection was lost; partial files are kept and completed next time.
            UnusableError: the disk there is full.
            UserError: a file here cannot be read.
        """
        names_by_root: dict[Path, list[str]] = {}
        for root, name in files:
            names_by_root.setdefault(root, []).append(name)
        for root, names in names_by_root.items():
            self._rsync(names, folder, f"{root}/", f"{self._host()}:.")

    def fetch(self, names: Sequence[str], folder: str, into: Path) -> None:
        """Copy files of a folder there to the same paths below ``into``; errors as for ``send``."""
        into.mkdir(parents=True, exist_ok=True)
        self._rsync(names, folder, f"{self._host()}:.", f"{into}/")

    def _host(self) -> str:
        user, at, host = self.address.destination.rpartition("@")
        return f"{user}{at}[{host}]" if ":" in host else self.address.destination

    def _rsync(self, names: Sequence[str], folder: str, source: str, target: str) -> None:
        """Copy files from ``source`` to ``target``, of which the one there is ``folder``."""
        # Only options of rsync 2.6.9, which macOS has (as does openrsync). Names are not seen by a shell.
        options = ["-tLR", "--files-from=-", "--from0", "--partial-dir=.rsync-partial", "--timeout=60"]
        done = subprocess.run(
            [
                *("rsync", *options, "--stats", "-e", shlex.join(self._shared())),
                *(f"--rsync-path=exec sh -c {shlex.quote(IN_FOLDER)} {shlex.quote(folder)}", source, target),
            ],
            input="\0".join(names).encode("utf-8", "surrogateescape"),
            capture_output=True,
            env={**os.environ, "LC_ALL": "C"},
            start_new_session=True,
            check=False,
        )
        statistics = dict(STATISTIC.findall(done.stdout.decode(errors="replace")))
        with self._counting:
            self.sent += int(re.sub(r"\D", "", statistics.get("sent", "0")))
            self.received += int(re.sub(r"\D", "", statistics.get("received", "0")))
        if done.returncode == 0:
            return
        said = done.stderr.decode(errors="replace").strip()
        if NO_RSYNC in said:
            hint = "Install it there (Debian: `apt install rsync`)"
            raise UnusableError("rsync is not installed there", where=self.name, hint=hint)
        if done.returncode in RSYNC_UNABLE:
            side = "there" if "on remote machine" in said else "here"
            what = f"the rsync {side} cannot be used ({cause(said)})"
            raise UnusableError(what, where=self.name, hint="Install rsync 3 (macOS: `brew install rsync`)")
        if any(sign in said for sign in FULL):
            if target.endswith(":."):
                hint = "Make room there, or choose another folder with `warm-remote-dir`"
                raise UnusableError("the disk there is full", where=self.name, hint=hint)
            raise UserError("the disk is full", where=target, hint="Make room and run again")
        if done.returncode in RSYNC_LOST or not self.alive:
            raise self.lost(said)
        reason = cause(said, besides=CONSEQUENCES)
        raise UserError(f"rsync failed ({reason})", where=self.name, hint="Run again")

    def close(self) -> None:
        """Cut the connection, and with it all commands that still use it."""
        self._cut()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _cut(self) -> None:
        if self._master is not None:
            with suppress(OSError):
                assert self._master.stdin is not None
                self._master.stdin.close()
            try:
                self._master.wait(2)
            except subprocess.TimeoutExpired:  # the network is gone, or the machine does not answer
                self._master.kill()
                self._master.wait()


def hopeless(said: str) -> str:
    """Return the last of ssh's messages after which a retry is useless, or ""."""
    lines = reversed(said.splitlines())
    return next((line.strip() for line in lines if any(sign in line for sign in HOPELESS)), "")


def _options(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("-o", setting)]


def folder_of_process(parent: Path, prefix: str = "") -> Path:
    """Make a folder of this process below ``parent``, and remove those of processes that were killed."""
    for folder in parent.glob(f"{prefix}*-*"):
        pid = folder.name.removeprefix(prefix).split("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=parent)).absolute()
