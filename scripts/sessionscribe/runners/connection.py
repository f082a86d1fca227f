"""One multiplexed ssh connection to a machine: commands, and files by rsync.

It is plain OpenSSH with the user's own configuration. All commands share the connection that ``open`` makes;
when that is gone they fail, they never make one of their own. The machine's end of it waits for our end of
file and then cuts the connection, so nothing of it outlives this process, however that ends.
"""

from __future__ import annotations

import os
import re
import select
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

KEEP = "p=$PPID; echo ready; cat >/dev/null; kill $p"
QUIET = ("BatchMode=yes", "RequestTTY=no", "RemoteCommand=none", "ClearAllForwardings=yes")
MASTER = ("ControlMaster=yes", "ControlPersist=no", "ServerAliveCountMax=3")
HOPELESS = (
    "Permission denied",
    "Host key verification failed",
    "Bad configuration option",
    "no such identity",
)
CONSEQUENCES = ("kex_exchange_identification:", "Connection closed by", "Connection reset by")
"""What ssh adds where a program that should have made the connection has said why there is none."""
NO_CONNECTION = 255
RSYNC_UNABLE = (1, 2, 4)
"""What rsync ends with where it does not know an option, or the other side's protocol."""
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


class RemoteError(Exception):
    """A command on the machine failed; the text is the end of what it wrote to standard error."""


class Connection:
    """A connection that is made by ``open``.

    Args:
        name: what messages call the machine.
        address: where it is.
        alive_s: seconds without an answer after which the connection counts as lost.
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
            DisconnectedError: that failed; another try may go better.
            UnusableError: it will not do, as when the key is refused.
        """
        for program in ("ssh", "rsync"):
            if shutil.which(program) is None:
                hint = "Install openssh-client and rsync here (and rsync there)"
                raise UnusableError(
                    f"`{program}` is not installed on this machine", where=self.name, hint=hint
                )
        # A control socket's path may have some 90 characters: not in the project, whatever that is called.
        self._folder = folder_of_process(Path(_short_folder()), PREFIX)
        alive = f"ServerAliveInterval={max(1, round(self._alive_s / 3))}"
        errors = self._folder / "stderr"
        options = self._ssh("-M", *_options(*MASTER, alive))
        with errors.open("wb") as stderr:
            self._master = subprocess.Popen(
                [*options, self.address.destination, f"exec sh -c {shlex.quote(KEEP)}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,  # Ctrl-C reaches it through us only
            )
        came = self._first_line(self.address.connect_s).decode(errors="replace").splitlines()
        if came[:1] == ["ready"]:
            return
        self._cut()  # only then all is there that ssh says
        said = errors.read_text(encoding="utf-8", errors="replace").strip()
        self.close()
        if came:
            line = next((line for line in came if line.strip() not in ("", "ready")), "an empty line")
            what = f"the shell there prints `{visible(line[:80])}` before a command, or instead of it"
            hint = "rsync needs it silent: let what prints it (`~/.bashrc`?) do so on terminals only"
            raise UnusableError(what, where=self.name, hint=hint)
        said = cause(said, f"no answer within {self.address.connect_s:g} s", besides=CONSEQUENCES)
        for sign, what, hint in self.address.refusals:
            if sign in said:
                raise UnusableError(what, where=self.name, hint=hint)
        if any(sign in said for sign in HOPELESS):
            hint = f"Make `ssh {self.address.destination}` work without a question first"
            raise UnusableError(f"ssh cannot log in ({said})", where=self.name, hint=hint)
        raise DisconnectedError(f"no connection to {self.name} ({said})")

    def _first_line(self, patience_s: float) -> bytes:
        """Return the first line that comes from there, or as much as there is of it when time or ssh end.

        What came along with it may follow.
        """
        assert self._master is not None
        assert self._master.stdout is not None
        until, came = time.monotonic() + patience_s, b""
        while b"\n" not in came:
            left = max(0.0, until - time.monotonic())
            more = b""
            if select.select([self._master.stdout], [], [], left)[0]:
                more = os.read(self._master.stdout.fileno(), 4096)
            if not more:
                break
            came += more
        return came

    @property
    def alive(self) -> bool:
        """Whether the connection still stands, as far as ssh knows."""
        return self._master is not None and self._master.poll() is None

    def _ssh(self, *options: str) -> list[str]:
        # Of an option that is given twice ssh takes the first.
        return ["ssh", "-S", f"{self._folder}/c", *options, *_options(*QUIET), *self.address.options]

    def _shared(self) -> list[str]:
        """Return the command line of ssh over the connection that is there; a new one is made by nobody."""
        return self._ssh(*_options("ControlMaster=no", "ProxyCommand=false"))

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Start a command (of the machine's shell), with pipes to all its streams."""
        return subprocess.Popen(
            [*self._shared(), self.address.destination, command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, command: str, *, timeout_s: float = 60.0) -> str:
        """Run a command (of the machine's shell) and return what it wrote to standard output.

        Raises:
            RemoteError: it failed.
            DisconnectedError: the connection did, or there was no end within the time.
        """
        process = self.start(command)
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            for stream in (process.stdin, process.stdout, process.stderr):
                assert stream is not None
                stream.close()  # not read to their ends: the shared connection holds them open
            raise DisconnectedError(
                f"{self.name}: no end of `{command[:60]}` within {timeout_s:g} s"
            ) from None
        said = err.decode(errors="replace").strip()
        if process.returncode == NO_CONNECTION:
            raise DisconnectedError(
                f"the connection to {self.name} is lost ({said[-300:] or 'no reason given'})"
            )
        if process.returncode:
            raise RemoteError(said[-2000:] or f"exit code {process.returncode}")
        return out.decode(errors="replace")

    def send(self, files: Iterable[tuple[Path, str]], folder: str) -> None:
        """Bring files to a folder of the machine; what is there with the same size and time is left.

        Args:
            files: for each a folder here, and its path in that folder, which is also its path there.
            folder: the folder there, absolute.

        Raises:
            DisconnectedError: the connection is gone; what came across partly is kept, and gone on with.
            UnusableError: the machine's disk is full.
            UserError: a file here cannot be read.
        """
        names_by_root: dict[Path, list[str]] = {}
        for root, name in files:
            names_by_root.setdefault(root, []).append(name)
        for root, names in names_by_root.items():
            self._rsync(names, folder, f"{root}/", f"{self._host()}:.")

    def fetch(self, names: Sequence[str], folder: str, into: Path) -> None:
        """Bring files of a folder of the machine here, each to its path below ``into``; see ``send``."""
        into.mkdir(parents=True, exist_ok=True)
        self._rsync(names, folder, f"{self._host()}:.", f"{into}/")

    def _host(self) -> str:
        user, at, host = self.address.destination.rpartition("@")
        return f"{user}{at}[{host}]" if ":" in host else self.address.destination

    def _rsync(self, names: Sequence[str], folder: str, source: str, target: str) -> None:
        """Copy files from ``source`` to ``target``, one of which is ``folder`` on the machine."""
        # What rsync 2.6.9 has, which macOS has (in openrsync, too). Names go as a list: no shell sees them.
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
        for way, number in STATISTIC.findall(done.stdout.decode(errors="replace")):
            with self._counting:
                if way == "sent":
                    self.sent += int(re.sub(r"\D", "", number))
                else:
                    self.received += int(re.sub(r"\D", "", number))
        if done.returncode == 0:
            return
        said = done.stderr.decode(errors="replace").strip()
        if NO_RSYNC in said:
            hint = "Install it there (Debian: `apt install rsync`)"
            raise UnusableError("rsync is not installed there", where=self.name, hint=hint)
        if done.returncode in RSYNC_UNABLE:
            side = "there" if "on remote machine" in said else "here"
            hint = "Install rsync 3 (macOS: `brew install rsync`)"
            raise UnusableError(
                f"the rsync {side} cannot be used ({cause(said)})", where=self.name, hint=hint
            )
        if any(sign in said for sign in FULL):
            if target.endswith(":."):
                hint = "Make room there, or choose another folder with `warm-remote-dir`"
                raise UnusableError("the disk there is full", where=self.name, hint=hint)
            raise UserError("the disk is full", where=target, hint="Make room and run again")
        if done.returncode in RSYNC_LOST or not self.alive:
            raise DisconnectedError(
                f"the connection to {self.name} is lost ({said.splitlines()[0] if said else 'rsync'})"
            )
        raise UserError(f"rsync failed ({said[-500:]})", where=self.name, hint="Run again; then see the docs")

    def close(self) -> None:
        """Cut the connection, with all commands that still use it."""
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
            except subprocess.TimeoutExpired:  # the network is gone, or nobody answers there
                self._master.kill()
                self._master.wait()


def _options(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("-o", setting)]


def _short_folder() -> str:
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    return given if given and len(given) < 30 and os.access(given, os.W_OK) else "/tmp"


def folder_of_process(parent: Path, prefix: str = "") -> Path:
    """Make a folder of this process below ``parent``; those of processes that were killed are removed."""
    for folder in parent.glob(f"{prefix}*-*"):
        pid = folder.name.removeprefix(prefix).split("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=parent)).absolute()
