"""``ssh:HOST`` with three shell commands that start it, stop it, and tell whether it is on."""

from __future__ import annotations

import re
import subprocess

from sessionscribe.core.errors import cause
from sessionscribe.runners.errors import DisconnectedError, UnusableError
from sessionscribe.runners.machine import Address, Commands, Settings
from sessionscribe.runners.managed_machine import ManagedMachine, State

COMMAND_S = 120
NOT_RUN = (126, 127)
"""Exit codes of a shell that cannot run a command."""


class CommandMachine(ManagedMachine):
    """A host that the user's commands start and stop, such as wake-on-LAN or a provider's own program."""

    def __init__(self, name: str, address: Address, commands: Commands, settings: Settings) -> None:
        super().__init__(name, settings, settings.stops_itself)
        self._address, self._commands = address, commands

    def look(self) -> tuple[State, Address]:
        """Run the state command.

        Raises:
            DisconnectedError: it does not end.
            UnusableError: it cannot be run, so it does not say that the host is off.
        """
        code, problem = self._call(self._commands.state)
        if code is None:
            raise DisconnectedError(f"{self.name}: the state command failed: {problem}")
        if code in NOT_RUN:
            what = f"the state command cannot be run ({problem})"
            raise UnusableError(what, where=self.name, hint="Try it by hand")
        return "off" if code else "up", self._address

    def bring_up(self) -> None:
        """Run the start command."""
        if problem := self._run(self._commands.start):
            # Only a single command that does not exist has certainly not started the host.
            program = re.escape(self._commands.start.partition(" ")[0])
            unknown = re.search(rf"(^|\s){program}: (command )?not found$", problem)
            if unknown and not re.search(r"[;&|\n]", self._commands.start):
                self.not_started()
            raise UnusableError(
                f"the start command failed ({problem})", where=self.name, hint="Try it by hand"
            )

    def shut_down(self) -> None:
        """Run the stop command."""
        if problem := self._run(self._commands.stop):
            raise DisconnectedError(f"the stop command failed: {problem}")

    def check(self) -> str:
        """Return the state."""
        return f"{self.state()}; only a start would show whether it works"

    def _run(self, command: str) -> str:
        """Run a command and return what went wrong, or ""."""
        return self._call(command)[1]

    def _call(self, command: str) -> tuple[int | None, str]:
        """Run a command; return its exit code, None if it does not end, and what went wrong, or ""."""
        line = command.replace("{host}", self._address.destination)
        try:
            done = subprocess.run(
                line,
                shell=True,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=COMMAND_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None, f"no end within {COMMAND_S} s"
        reason = cause(done.stderr.decode(errors="replace"), f"exit code {done.returncode}")
        return done.returncode, reason if done.returncode else ""
