"""``colab:T4``: a session on Google Colab, created when there is work and released afterwards.

``colab:T4,L4,cpu`` names alternatives in order of preference. ssh reaches the session through ``colab ssh``,
its ProxyCommand. Colab ends sessions after a known time, sometimes earlier, and when they seem to be idle,
which a call now and then prevents.

A session is always released: by the run; if the run is killed, by a watchdog process on this computer; if
this computer is gone as well, by the guard, from inside.
"""

from __future__ import annotations

import hashlib
import math
import platform
import shlex
import shutil
import subprocess
import threading
from functools import partial
from pathlib import Path

from platformdirs import user_state_path

from sessionscribe.core.errors import UserError
from sessionscribe.runners.colab_cli import Cli, find_program
from sessionscribe.runners.colab_sessions import CPU, Session, Sessions
from sessionscribe.runners.errors import UnusableError
from sessionscribe.runners.machine import Address, Machine, Settings
from sessionscribe.runners.managed_machine import ORPHAN_S, Watchdog
from sessionscribe.runners.usage_log import note_event

ACCELERATORS = ("T4", "L4", "G4", "A100", "H100", CPU)
KEY = "key"
LEAST_S = 600.0
"""An earlier run's session is replaced if it has less time left than this, in seconds."""
RELEASE_S, OTHER_RUN_S, KEEP_ALIVE_S, CONNECT_S = 120.0, 60.0, 180.0, 90.0
DRIVER = "/usr/lib64-nvidia"
"""The folder with the GPU's driver. Notebooks have it in their environment, ssh sessions do not."""
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
"""Answers of `colab ssh` for which a retry is useless, as in ``Address.refusals``."""
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
"""Like ``google.colab.runtime.unassign()``, but finds the address if only the notebook's kernel has it."""


class Colab(Machine):
    """A session.

    Args:
        name: the runner's name.
        argument: the accelerators in order of preference, separated by commas.
        settings: how the run uses machines. There is one session for each runner and project.

    Raises:
        UserError: Colab has no such accelerator.
    """

    def __init__(self, name: str, argument: str, settings: Settings) -> None:
        super().__init__(name)
        self._accelerators = accelerators_of(name, argument)
        self._settings, self._say = settings, settings.say
        self._limit_s = settings.colab_hours * 3600
        whose = hashlib.sha256(f"{platform.node()}:{settings.project}:{name}".encode()).hexdigest()[:10]
        self._home = user_state_path("sessionscribe") / "colab" / whose
        self._session_name = f"sessionscribe-{whose}"
        self._session: Session | None = None
        # Both are there from before a session is created until it is seen to be released.
        self._sessions: Sessions | None = None
        self._watchdog: Watchdog | None = None
        self._changing, self._over = threading.Lock(), threading.Event()
        self._note = partial(note_event, settings.project, name)

    @property
    def stop_command(self) -> str:
        """The shell command with which the session releases itself."""
        return self._settings.stops_itself or f"python3 -c {shlex.quote(UNASSIGN)}"

    def seconds_left(self) -> float:
        """Return the time until Colab ends the session at the latest; infinity before there is one."""
        return self._limit_s - self._session.age_s if self._session else math.inf

    def check(self) -> str:
        """Return that nothing is known."""
        return "not checked: it would have to be started"

    def start(self) -> Address:
        """Create a session, unless there is one, and return its address."""
        with self._changing:
            sessions = self._sessions or self._prepare()
            before, self._session = self._session, sessions.find()
            if before and not self._session:
                self._say(f"{self.name}: Colab took the session away after {_spell(before.age_s)}")
            if self._session and self.seconds_left() < LEAST_S:
                sessions.release(RELEASE_S)
                self._session = None
            if self._session is None:
                self._note("start")
                self._session = sessions.create(self._accelerators)
                self._note("ready", self._session.accelerator)
            accelerator = self._session.accelerator
            if self._session != before:
                left = _spell(self.seconds_left())
                self._say(f"{self.name}: a session with {accelerator}, for {left} at most")
            return self._address(sessions.cli, accelerator)

    def _prepare(self) -> Sessions:
        """Prepare for a session: lock the folder of the command, start the watchdog, keep sessions alive."""
        sessions = self._lock(OTHER_RUN_S)
        if sessions is None:
            raise UnusableError("is in use by another run", where=self.name, hint="Wait for that to end")
        _make_key(self._home / KEY, self.name)
        self._watchdog = Watchdog(self.name, self.name, self._settings)
        self._sessions, self._over = sessions, threading.Event()
        keeping = threading.Thread(target=self._keep_alive, args=(sessions, self._over), daemon=True)
        keeping.start()
        return sessions

    def _lock(self, wait_s: float) -> Sessions | None:
        """Lock the folder of our command ``colab``; return None if another process keeps it locked."""
        cli = Cli(find_program(self._settings.project / "envs", self._say), self._home)
        if not cli.lock(wait_s):
            return None
        return Sessions(cli, self._session_name, runner=self.name, say=self._say)

    def _keep_alive(self, sessions: Sessions, over: threading.Event) -> None:
        while not over.wait(KEEP_ALIVE_S):
            sessions.keep_alive()

    def _address(self, cli: Cli, accelerator: str) -> Address:
        key = str(self._home / KEY)
        proxy = cli.shell_line("ssh", "--proxy-mode", "-s", self._session_name, "-i", key)
        settings = (
            f"ProxyCommand={proxy.replace('%', '%%')}",
            f'IdentityFile="{key.replace("%", "%%")}"',
            "IdentitiesOnly=yes",
            # Each session is another machine with another key; the proxy's TLS authenticates it.
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
        )
        options = ("-F", "none", *(word for setting in settings for word in ("-o", setting)))
        return Address(
            f"root@{self._session_name}",
            options,
            CONNECT_S,
            machine_type=accelerator,
            device="cpu" if accelerator == CPU else "",
            environment=(("LD_LIBRARY_PATH", DRIVER),),
            refusals=REFUSALS,
        )

    def stop(self) -> None:
        """Release the session, and verify that it is gone.

        Raises:
            UserError: it may still exist; the user has to look.
        """
        if not self._changing.acquire(blocking=False):
            self._say(f"{self.name}: Colab is about to answer; its session will be released at once")
            self._changing.acquire()
        try:
            if self._sessions is None or self._watchdog is None:
                return
            self._over.set()
            self._note("stop")
            self._sessions.release(RELEASE_S)
            self._watchdog.dismiss()
            self._sessions.cli.unlock()
            self._note("stopped")
            if self._session:
                self._say(f"{self.name}: the session is released after {_spell(self._session.age_s)}")
            self._sessions = self._session = None
        finally:
            self._changing.release()

    def stop_orphan(self) -> None:
        """Release the session of a run that was killed, unless another run has taken it over."""
        if sessions := self._lock(5.0):
            sessions.release(ORPHAN_S)
            self._note("stopped")


def accelerators_of(name: str, argument: str) -> tuple[str, ...]:
    """Return the accelerators that a runner's argument names.

    Raises:
        UserError: Colab has no such accelerator.
    """
    known = {accelerator.lower(): accelerator for accelerator in ACCELERATORS}
    given = [word.strip().lower() for word in argument.split(",")]
    if "" in given:
        raise UserError("names no accelerator", where=name, hint="Write `colab:T4` or `colab:T4,L4,cpu`")
    if wrong := next((word for word in given if word not in known), None):
        hint = f"There are {', '.join(ACCELERATORS)}"
        raise UserError(f"Colab has no `{wrong}`", where=name, hint=hint)
    return tuple(dict.fromkeys(known[word] for word in given))


def _make_key(key: Path, name: str) -> None:
    """Make an ssh key, unless there is one: Colab takes no RSA keys, such as the user's may be."""
    if key.exists():
        return
    if shutil.which("ssh-keygen") is None:
        hint = "Install openssh-client and rsync here"
        raise UnusableError("`ssh-keygen` is not installed here", where=name, hint=hint)
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(make, check=True, stdin=subprocess.DEVNULL)


def _spell(seconds: float) -> str:
    """Return a duration as hours and minutes."""
    hours, minutes = divmod(round(max(0.0, seconds) / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
