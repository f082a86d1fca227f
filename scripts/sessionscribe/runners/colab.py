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
from functools import cached_property
from pathlib import Path
from typing import Literal

from platformdirs import user_state_path

from sessionscribe.core.errors import UserError
from sessionscribe.runners.colab_cli import Cli, find_program
from sessionscribe.runners.colab_sessions import CPU, STOP_S, Session, Sessions
from sessionscribe.runners.errors import UnusableError
from sessionscribe.runners.machine import Address, Settings
from sessionscribe.runners.managed_machine import ManagedMachine, State

ACCELERATORS = ("T4", "L4", "G4", "A100", "H100", CPU)
LEAST_S = 600.0
"""An earlier run's session is replaced if it has less time left than this, in seconds."""
OTHER_RUN_S, CONNECT_S = 60.0, 90.0
DRIVER = "/usr/lib64-nvidia"
"""The folder with the GPU's driver. Notebooks have it in their environment, ssh sessions do not."""
WITHOUT_SSH = "Use a notebook there (docs/runners/colab.md, Without ssh), or another runner"
NOT_BY_SSH = "Colab does not let this account in by ssh ({}), like most free accounts"
REFUSALS = (
    *((f"(HTTP {status})", NOT_BY_SSH.format(f"HTTP {status}"), WITHOUT_SSH) for status in (403, 404)),
    (
        "Server rejected",
        "Colab does not accept our key",
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


class Colab(ManagedMachine):
    """A session, of which there is one for each runner and project.

    Raises:
        UserError: ``argument`` is not a list of accelerators.
    """

    halt_s = STOP_S
    by_hand = "end it at colab.research.google.com (Runtime, Manage sessions)"

    def __init__(self, name: str, argument: str, settings: Settings) -> None:
        super().__init__(name, settings, settings.stops_itself or f"python3 -c {shlex.quote(UNASSIGN)}")
        self._accelerators = accelerators_of(name, argument)
        self._limit_s = settings.colab_hours * 3600
        whose = hashlib.sha256(f"{platform.node()}:{settings.project}:{name}".encode()).hexdigest()[:10]
        self._home = user_state_path("sessionscribe") / "colab" / whose
        self._session_name = f"sessionscribe-{whose}"
        self._session: Session | None = None
        self._over = threading.Event()

    @cached_property
    def _sessions(self) -> Sessions:
        cli = Cli(find_program(self._settings.project / "envs", self._say), self._home)
        return Sessions(cli, self._session_name, runner=self.name, say=self._say)

    def seconds_left(self) -> float:
        """Return the time until Colab ends the session at the latest; infinity before there is one."""
        return self._limit_s - self._session.age_s if self._session else math.inf

    def check(self) -> str:
        """Return that nothing is known."""
        return "not checked: that would create a session"

    def start(self) -> Address:
        """Create a session, unless there is one, and return its address."""
        with self._changing:
            before = self._session
            if not self._sessions.cli.lock(OTHER_RUN_S):
                raise UnusableError("is in use by another run", where=self.name, hint="Wait for that to end")
            self._watch()  # a session that an earlier run has left is ours, too
            left = self._sessions.known()
            if left and self._limit_s - left.age_s < LEAST_S:
                self.shut_down()
            address = super().start()
            if self._session and self._session != before:
                limit = _spell(self.seconds_left())
                self._say(f"{self.name}: a session with {self._session.accelerator}, for {limit} at most")
                self._over.set()
                self._over = threading.Event()
                threading.Thread(target=self._sessions.keep_alive, args=(self._over,), daemon=True).start()
            return address

    def look(self) -> tuple[State, Address | None]:
        """Ask Colab whether our session exists."""
        before, self._session = self._session, self._sessions.find()
        if before and not self._session and not self._stopping.is_set():
            self._say(f"{self.name}: Colab took the session away after {_spell(before.age_s)}")
        return ("up", self._address(self._session)) if self._session else ("off", None)

    def bring_up(self) -> None:
        """Create a session."""
        self._session = self._sessions.create(self._accelerators)

    def shut_down(self) -> None:
        """End the session."""
        self._sessions.stop()
        self._session = None

    def _address(self, session: Session) -> Address:
        key, accelerator = str(_key_in(self._home, self.name)), session.accelerator
        proxy = self._sessions.cli.shell_line("ssh", "--proxy-mode", "-s", self._session_name, "-i", key)
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

    def _answering_address(self) -> Address | None:
        # ssh is not tried: Colab accepts one connection at a time, and may see the next one too early.
        self._last_address = self._address(self._session) if self._session else None
        return self._last_address

    def stop(self) -> None:
        """Release the session, and verify that it is gone; see ``ManagedMachine.stop``."""
        if self._changing.acquire(blocking=False):
            self._changing.release()
        else:
            self._say(f"{self.name}: Colab is about to answer; its session will be released at once")
        super().stop()

    def stop_orphan(self) -> None:
        """Release the session of a run that was killed, unless another run has taken it over."""
        if self._sessions.cli.lock(5.0):
            super().stop_orphan()

    def _release(self, event: Literal["stopped", "refused"]) -> None:
        super()._release(event)
        self._over.set()
        self._sessions.cli.unlock()


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


def _key_in(home: Path, name: str) -> Path:
    """Return an ssh key of our own: the user's may be an RSA key, which Colab does not accept."""
    key = home / "key"
    if not key.exists():
        if shutil.which("ssh-keygen") is None:
            hint = "Install openssh-client and rsync here"
            raise UnusableError("`ssh-keygen` is not installed here", where=name, hint=hint)
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
        subprocess.run(make, check=True, stdin=subprocess.DEVNULL)
    return key


def _spell(seconds: float) -> str:
    """Return a duration as hours and minutes."""
    hours, minutes = divmod(round(max(0.0, seconds) / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
