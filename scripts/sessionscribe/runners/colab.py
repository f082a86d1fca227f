"""``colab:T4``: a session on Google Colab, made when there is work and released when it is done.

``colab:T4,L4,cpu`` names what is asked for in turn. The machine is reached through ``colab ssh``, as ssh's
ProxyCommand. Colab takes sessions away: after a time that is known, from time to time before, and where
nothing seems to happen in them, which a call now and then prevents.

Who releases it: this process; if that is killed, a ``Watchdog`` on this machine; if this machine is gone as
well, the guard, from inside.

    python -m sessionscribe.runners.colab PROGRAM HOME NAME

releases what a process that was killed has left.
"""

from __future__ import annotations

import hashlib
import math
import platform
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from platformdirs import user_state_path

from sessionscribe.core import locks
from sessionscribe.core.errors import UserError
from sessionscribe.runners.colab_cli import Cli, find_program
from sessionscribe.runners.colab_sessions import CPU, Session, Sessions
from sessionscribe.runners.errors import DisconnectedError, UnusableError
from sessionscribe.runners.machine import Address, Settings
from sessionscribe.runners.managed_machine import Watchdog
from sessionscribe.runners.usage_log import MACHINES, MachineLog

ACCELERATORS = ("T4", "L4", "G4", "A100", "H100", CPU)
LEAST_S = 600.0
"""A session that an earlier run left is not worth having for less."""
LOCK = "use.lock"
HALT_S = 120.0
PATIENCE_S = 60.0
KEEP_ALIVE_S = 180.0
CONNECT_S = 90.0
DRIVER = "/usr/lib64-nvidia"
"""Where Colab has the GPU's driver: notebooks are told that, what comes by ssh is not."""
WITHOUT_SSH = "A notebook there needs no ssh: docs/runners/colab.md, Without ssh. Or take another runner"
NOT_BY_SSH = "Colab does not let this account in by ssh ({}), as most that do not pay"
REFUSALS = (
    *((f"(HTTP {status})", NOT_BY_SSH.format(f"HTTP {status}"), WITHOUT_SSH) for status in (403, 404)),
    (
        "Server rejected",
        "Colab does not take our key",
        "Update the command: `uv tool upgrade google-colab-cli`",
    ),
)
"""Answers of `colab ssh` that will not change: a part of the text, what is wrong, what to do."""
UNASSIGN = """
import glob, http.client, os
def variables():
    yield from os.environ.items()
    for file in glob.glob("/proc/[0-9]*/environ"):
        try:
            with open(file, errors="replace") as entries:
                yield from (entry.partition("=")[::2] for entry in entries.read().split(chr(0)))
        except OSError:
            pass
address = next(value for name, value in variables() if name == "TBE_RUNTIME_ADDR")
connection = http.client.HTTPConnection(address, timeout=60)
connection.request("POST", "/unassign")
print(connection.getresponse().status)
"""
"""What ``google.colab.runtime.unassign()`` does, also where only the notebook's kernel knows the address."""


class Colab:
    """A session.

    Args:
        name: what the user called it.
        argument: the accelerators that are asked for, in turn, between commas.
        settings: how machines are used. The project is whose session it is, and has the command's pins.

    Raises:
        UserError: Colab has no such accelerator.
    """

    def __init__(self, name: str, argument: str, settings: Settings) -> None:
        self.name, self._accelerators = name, accelerators_of(name, argument)
        self._project, self._say = settings.project, settings.say
        self._limit_s = settings.colab_hours * 3600
        self.stop_command = settings.stops_itself or f"python3 -c {shlex.quote(UNASSIGN)}"
        self._use: _Use | None = None
        self._session: Session | None = None
        self._log = MachineLog(name, settings.project / MACHINES)
        self._changing = threading.Lock()

    def seconds_left(self) -> float:
        """Return when Colab will take it away at the latest; infinite where there is none yet."""
        session = self._session
        return self._limit_s - session.age_s if session else math.inf

    def start(self) -> Address:
        """Make a session, or find the one that is there, and return its address."""
        with self._changing:
            self._use = use = self._use or _Use(self.name, self._project, self._say)
            before, session = self._session, use.sessions.find()
            if before and not session:
                self._say(f"{self.name}: Colab took the session away after {_spell(before.age_s)}")
            self._session = session
            if session and self.seconds_left() < LEAST_S:
                use.sessions.release(HALT_S)
                session = None
            if session is None:
                self._session = None
                self._log.note("start")
                session = use.sessions.make(self._accelerators)
                self._log.note("ready", session.accelerator)
            if before is None or session != before:
                left = self._limit_s - session.age_s
                self._say(f"{self.name}: a session with {session.accelerator}, for {_spell(left)} at most")
            self._session = session
            return use.address(session)

    def stop(self) -> None:
        """Release the session, and see that it is.

        Raises:
            UserError: it is still there, or that cannot be said; the user has to look.
        """
        if not self._changing.acquire(blocking=False):
            self._say(f"{self.name}: Colab is about to answer; its session will be released at once")
            self._changing.acquire()
        try:
            if self._use is None:
                return
            self._log.note("stop")
            self._use.release()
            self._log.note("stopped")
            if self._session:
                self._say(f"{self.name}: the session is released after {_spell(self._session.age_s)}")
            self._use = self._session = None
        finally:
            self._changing.release()


class _Use:
    """What is needed for as long as a session is, or may be: the command, a key, and who releases it."""

    def __init__(self, name: str, project: Path, say: Callable[[str], None]) -> None:
        whose = hashlib.sha256(f"{platform.node()}:{project}:{name}".encode()).hexdigest()[:10]
        self._session_name = f"sessionscribe-{whose}"
        program = find_program(project / "envs", say)
        home = user_state_path("sessionscribe") / "colab" / whose
        self._cli = Cli(program, home)
        self._lock = (home / LOCK).open("w")  # whoever has it is the only one who uses this folder
        if not locks.wait_for(self._lock, PATIENCE_S):
            raise UnusableError("is in use by another run", where=name, hint="Wait for that to end")
        self._key = _key(home, name)
        self.sessions = Sessions(self._cli, self._session_name, runner=name, say=say)
        release = [sys.executable, "-m", __name__, str(program), str(home), self._session_name]
        self._watchdog = Watchdog(release, MachineLog(name, project / MACHINES))
        self._over = threading.Event()
        threading.Thread(target=self._keep_alive, name=f"{name}-alive", daemon=True).start()

    def address(self, session: Session) -> Address:
        """Return how ssh gets into a session."""
        proxy = self._cli.shell_line("ssh", "--proxy-mode", "-s", session.name, "-i", str(self._key))
        settings = (
            f"ProxyCommand={proxy.replace('%', '%%')}",
            f'IdentityFile="{str(self._key).replace("%", "%%")}"',
            "IdentitiesOnly=yes",
            # Each session is another machine, with another key; who it is, the proxy's TLS vouches for.
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
        )
        options = ("-F", "none", *(word for setting in settings for word in ("-o", setting)))
        device = "cpu" if session.accelerator == CPU else ""
        return Address(
            f"root@{session.name}",
            options,
            CONNECT_S,
            sort=session.accelerator,
            device=device,
            environment=(("LD_LIBRARY_PATH", DRIVER),),
            refusals=REFUSALS,
        )

    def _keep_alive(self) -> None:
        """Let the notebook's kernel do something now and then: Colab does not look at what ssh does."""
        while not self._over.wait(KEEP_ALIVE_S):
            if self.sessions.noted():
                with suppress(DisconnectedError, UserError):
                    self._cli.call("exec", "--session", self._session_name, given="pass", limit_s=45.0)

    def release(self) -> None:
        """Release the session if there is one, and let all others go."""
        self._over.set()
        self.sessions.release(HALT_S)
        self._watchdog.dismiss()
        self._lock.close()


def accelerators_of(name: str, argument: str) -> tuple[str, ...]:
    """Return what the argument of a runner's name asks for.

    Raises:
        UserError: Colab has no such thing.
    """
    known = {accelerator.lower(): accelerator for accelerator in ACCELERATORS}
    given = [word.strip().lower() for word in argument.split(",")]
    if wrong := next((word for word in given if word not in known), None):
        hint = f"There are {', '.join(ACCELERATORS)}"
        raise UserError(f"Colab has no `{wrong}`", where=name, hint=hint)
    if "" in given:
        raise UserError("names no accelerator", where=name, hint="Write `colab:T4` or `colab:T4,L4,cpu`")
    return tuple(dict.fromkeys(known[word] for word in given))


def _key(home: Path, name: str) -> Path:
    """Return a key to get in with; Colab takes none of RSA, which the user's may be."""
    key = home / "key"
    if not key.exists():
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
        try:
            subprocess.run(make, check=True, stdin=subprocess.DEVNULL)
        except FileNotFoundError:
            hint = "Install openssh-client and rsync here"
            raise UnusableError("`ssh-keygen` is not installed here", where=name, hint=hint) from None
    return key


def _spell(seconds: float) -> str:
    """Return a length of time as hours and minutes."""
    hours, minutes = divmod(round(max(0.0, seconds) / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def main(program: Path, home: Path, name: str) -> int:
    """Release what a process that was killed has left, unless another one has taken it over."""
    with (home / LOCK).open("w") as lock:
        if not locks.wait_for(lock, 5.0):
            return 0
        try:
            Sessions(Cli(program, home), name, runner="colab").release(600.0)
        except UserError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
