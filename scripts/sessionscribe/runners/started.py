"""Machines that are started when there is work and stopped when it is done.

``StartedMachine`` has the rules: a machine that was up before is not ours and stays up, one that we started
is stopped whatever happens, and is seen to be stopped. A provider adds how to ask, start and stop.
``CommandHost`` does that with three shell commands of the user's.
"""

from __future__ import annotations

import math
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

from sessionscribe.errors import UserError
from sessionscribe.runners.errors import LostError, UnusableError
from sessionscribe.runners.machine import Address


class StartedMachine(ABC):
    """A machine that may be off.

    Args:
        name: what the user called it.
        stops_itself: what the guard runs on the machine when home is gone, where we started it.
        boot_s: how long it may take until ssh answers.
        halt_s: how long it may take to stop.
    """

    def __init__(self, name: str, *, stops_itself: str, boot_s: float = 300.0, halt_s: float = 300.0) -> None:
        self.name, self._stops_itself, self._boot_s, self._halt_s = name, stops_itself, boot_s, halt_s
        self._ours = False
        self._changing, self._stopping = threading.Lock(), threading.Event()

    @abstractmethod
    def is_up(self) -> bool:
        """Ask the provider whether the machine is up, or coming up."""

    @abstractmethod
    def bring_up(self) -> None:
        """Ask the provider to start it.

        Raises:
            LostError: that failed; another try may go better.
            UnusableError: it will not start.
        """

    @abstractmethod
    def shut_down(self) -> None:
        """Ask the provider to stop it."""

    @abstractmethod
    def address(self) -> Address:
        """Return where it is; asked when it is up."""

    @property
    def stop_command(self) -> str:
        """What the guard runs there when home is gone: nothing on a machine that others have started."""
        return self._stops_itself if self._ours else ""

    def seconds_left(self) -> float:
        """Return infinity: nobody takes it away."""
        return math.inf

    def start(self) -> Address:
        """Bring it up if it is not, wait until ssh answers, and return its address."""
        with self._changing:
            self._stopping.clear()
            if not self.is_up():
                self._ours = True  # from now on: also where the answer gets lost
                self.bring_up()
            until = time.monotonic() + self._boot_s
            while not self._answers(address := self.address()):
                if self._stopping.wait(2):
                    raise LostError(f"{self.name} was let go while it started")
                if time.monotonic() > until:
                    raise LostError(f"{self.name} is up, and ssh does not answer within {self._boot_s:g} s")
            return address

    def _answers(self, address: Address) -> bool:
        alone = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ControlPath=none"]
        command = ["ssh", *alone, *address.options, address.destination, "true"]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0 or b"Permission denied" in done.stderr  # the connection will say so

    def stop(self) -> None:
        """Stop it if we started it.

        Raises:
            UserError: it is still up, or that cannot be said; the user has to look.
        """
        self._stopping.set()
        with self._changing:
            if not self._ours:
                return
            until, problem = time.monotonic() + self._halt_s, ""
            while time.monotonic() < until:
                try:
                    self.shut_down()
                    if not self.is_up():
                        self._ours = False
                        return
                except (LostError, UserError) as error:
                    problem = f" ({error})"
                time.sleep(1)
            hint = "It may cost money: stop it by hand, and look that it is off"
            raise UserError(
                f"was started by us and cannot be seen to stop{problem}", where=self.name, hint=hint
            )


@dataclass(frozen=True)
class Commands:
    """Shell commands, run here, in which ``{host}`` is the host's name; ``state`` succeeds where it is up."""

    start: str
    stop: str
    state: str
    stops_itself: str = ""


class CommandHost(StartedMachine):
    """A host that commands of the user's start and stop, such as wake-on-LAN or a provider's own program.

    Args:
        name: what the user called it.
        address: where it is when it is up.
        commands: how it is started and stopped.
        boot_s: how long it may take until ssh answers.
        halt_s: how long it may take to stop.
    """

    def __init__(
        self, name: str, address: Address, commands: Commands, *, boot_s: float = 300.0, halt_s: float = 300.0
    ) -> None:
        super().__init__(name, stops_itself=commands.stops_itself, boot_s=boot_s, halt_s=halt_s)
        self._address, self._commands = address, commands

    def is_up(self) -> bool:
        """Run the state command."""
        return self._run(self._commands.state) is None

    def bring_up(self) -> None:
        """Run the start command."""
        if problem := self._run(self._commands.start):
            raise UnusableError(
                f"the start command failed ({problem})", where=self.name, hint="Try it by hand"
            )

    def shut_down(self) -> None:
        """Run the stop command."""
        if problem := self._run(self._commands.stop):
            raise LostError(f"the stop command failed: {problem}")

    def address(self) -> Address:
        """Return what the user said."""
        return self._address

    def _run(self, command: str) -> str | None:
        """Run a command; return what was wrong, or None."""
        line = command.replace("{host}", self._address.destination)
        try:
            done = subprocess.run(
                line, shell=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False
            )
        except subprocess.TimeoutExpired:
            return "no end within 120 s"
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return (said[-1] if said else f"exit code {done.returncode}") if done.returncode else None
