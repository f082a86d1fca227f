"""``ssh:HOST`` where three shell commands of the user's start the host, stop it, and say whether it is up."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence

from sessionscribe.core.errors import cause
from sessionscribe.runners.errors import DisconnectedError, UnusableError
from sessionscribe.runners.machine import Address, Commands, Settings
from sessionscribe.runners.managed_machine import ManagedMachine

SEVERAL = re.compile(r"[;&|\n]")
"""Where a command may be several, of which another one may have started the host."""
STOP_AND_LOOK = 'sh -c "$1" || exit; while sh -c "$2"; do sleep 2; done'
"""To ask is of use only after a stop that went well: a host that is still booting looks as if it were off."""


class CommandMachine(ManagedMachine):
    """A host that commands of the user's start and stop, such as wake-on-LAN or a provider's own program.

    Args:
        name: what the user called it.
        address: where it is when it is up.
        commands: how it is started and stopped.
        settings: how machines are used.
    """

    def __init__(self, name: str, address: Address, commands: Commands, settings: Settings) -> None:
        super().__init__(name, settings, settings.stops_itself)
        self._address, self._commands = address, commands

    def is_up(self) -> bool:
        """Run the state command."""
        return self._run(self._commands.state)[0] == 0

    def bring_up(self) -> None:
        """Run the start command."""
        code, said = self._run(self._commands.start)
        if code and self._is_no_command(said) and not self._ours_before:
            self._disown()
        if code:
            raise UnusableError(f"the start command failed ({said})", where=self.name, hint="Try it by hand")

    def _is_no_command(self, said: str) -> bool:
        """Return whether the shell did not find the start command, which then has started nothing.

        Its exit code does not say so: a script ends with that of the last command in it.
        """
        command = self._line(self._commands.start)
        first = next(iter(command.split()), "")
        unknown = re.search(rf"(^|\s){re.escape(first)}: (command )?not found$", said) is not None
        return unknown and shutil.which(first) is None and not SEVERAL.search(command)

    def shut_down(self) -> None:
        """Run the stop command."""
        code, said = self._run(self._commands.stop)
        if code:
            raise DisconnectedError(f"the stop command failed: {said}")

    def shut_down_command(self) -> Sequence[str]:
        """Return the stop command as what a shell runs, which then waits until the machine is off."""
        stop, state = self._line(self._commands.stop), self._line(self._commands.state)
        return ("sh", "-c", STOP_AND_LOOK, "sh", stop, state)

    def address(self) -> Address:
        """Return what the user said."""
        return self._address

    def _line(self, command: str) -> str:
        return command.replace("{host}", self._address.destination)

    def _run(self, command: str) -> tuple[int, str]:
        """Run a command; return its exit code, and what was wrong if that is not 0."""
        try:
            done = subprocess.run(
                self._line(command),
                shell=True,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=120,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return -1, "no end within 120 s"
        said = done.stderr.decode(errors="replace")
        return done.returncode, cause(said, f"exit code {done.returncode}")
