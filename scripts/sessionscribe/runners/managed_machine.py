"""Machines that are started when there is work and stopped when it is done.

``ManagedMachine`` has the rules: a machine that was up before is not ours and stays up, one that we started
is stopped whatever happens, and is seen to be stopped. A provider adds how to ask, start and stop
(``command_machine``, ``ec2``).

Who stops it: this process; if that is killed, a ``Watchdog`` on this machine; if this machine is gone as
well, the guard on the other one. Where the provider refuses, as when credentials have expired, it is told by
ssh to stop itself.
"""

from __future__ import annotations

import math
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Literal, TypeVar

from sessionscribe.core.errors import UserError, cause
from sessionscribe.runners.connection import HOPELESS
from sessionscribe.runners.errors import DisconnectedError
from sessionscribe.runners.machine import Address, Settings
from sessionscribe.runners.usage_log import MACHINES, MachineLog

T = TypeVar("T")

POLL_S = 2.0
"""How often a machine is asked whether it is up, or off."""
PATIENCE_S = 15.0
"""After so long a machine that is still up is asked to stop again."""
SUCCEED = r"""
read -r _ && exit
log=$1 stopped=$2 tries=120
shift 2
until "$@"; do
    [ $((tries -= 1)) -gt 0 ] || exit
    sleep 5
done
printf '{"time": "%s", %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$stopped" >>"$log"
"""
"""A shell script: unless a line comes before its input ends, it runs its arguments from the third on until
they succeed, and then appends a line with the time and the second argument to the file that is the first."""


class Watchdog:
    """A process that runs a command when this one is gone, however that comes, unless it is dismissed before.

    Args:
        command: the command line; it fails as long as the machine is not seen to be off after it.
        log: where it is noted that the machine is.
    """

    def __init__(self, command: Sequence[str], log: MachineLog) -> None:
        self._process = subprocess.Popen(
            ["sh", "-c", SUCCEED, "sessionscribe-stop", *log.shell_words("stopped"), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # neither Ctrl-C nor the end of the terminal reaches it
        )

    def dismiss(self) -> None:
        """Let it end without doing anything."""
        with suppress(OSError):  # somebody has killed it
            self._process.communicate(b"\n")
        self._process.wait()


class ManagedMachine(ABC):
    """A machine that may be off.

    Args:
        name: what the user called it.
        settings: how machines are used.
        stops_itself: a shell command with which it stops itself; "" where there is none.

    Attributes:
        boot_s: how long it may take until ssh answers.
        halt_s: how long it may take to stop.
    """

    boot_s = halt_s = 300.0

    def __init__(self, name: str, settings: Settings, stops_itself: str) -> None:
        self.name, self._say, self._stops_itself = name, settings.say, stops_itself
        self._ours, self._ours_before, self._was_up, self._silence = False, False, False, ""
        self._told = False
        self._log = MachineLog(name, settings.project / MACHINES)
        self._found_running = False
        self._watchdog: Watchdog | None = None
        self._address_then: Address | None = None
        self._changing, self._stopping = threading.Lock(), threading.Event()

    @abstractmethod
    def is_up(self) -> bool:
        """Ask the provider whether the machine is up, or coming up."""

    def is_off(self) -> bool:
        """Ask the provider whether it is off for certain; here, where nothing is between, if it is not up."""
        return not self.is_up()

    @abstractmethod
    def bring_up(self) -> None:
        """Ask the provider to start it.

        Raises:
            DisconnectedError: that failed; another try may go better.
            UnusableError: it will not start.
        """

    @abstractmethod
    def shut_down(self) -> None:
        """Ask the provider to stop it.

        Raises:
            DisconnectedError, UserError: that failed; it is tried again for ``halt_s``.
        """

    @abstractmethod
    def shut_down_command(self) -> Sequence[str]:
        """Return a command line that does the same and fails if the machine is not seen to be off then."""

    def rehearse(self) -> str:
        """Ask the provider, as far as it can be asked, whether we may start it; return what it says.

        Raises:
            UserError: we may not.
        """
        return "whether it may be started, only a start would tell"

    @abstractmethod
    def address(self) -> Address | None:
        """Return where it is, or None where that is not known yet; asked when it is up.

        Raises:
            DisconnectedError: it is not up any more.
        """

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
            self._told = False
            self._was_up = was_up = self.is_up()
            if not was_up:
                self._wait(self.is_off, self.halt_s, "is still stopping")
                # From now on it is ours: also where the answer gets lost, as that of a try before may be.
                if self._ours:  # somebody else has stopped it
                    self._log.note("stopped")
                self._ours_before, self._ours = self._ours, True
                self._watchdog = self._watchdog or Watchdog(self.shut_down_command(), self._log)
                self._say(f"{self.name} is off: starting it")
                self._log.note("start")
                self.bring_up()
            elif not self._ours and not self._found_running:
                self._found_running = True
                self._log.note("running")
            address = self._wait(self._answering, self.boot_s, "is up, but ssh does not answer")
            if not was_up:
                self._log.note("ready", address.sort)
            return address

    def _wait(self, look: Callable[[], T | None], limit_s: float, what: str) -> T:
        """Wait for a look that finds something, and return that."""
        self._silence = ""
        until = time.monotonic() + limit_s
        while not (found := look()):
            if time.monotonic() > until:
                reason = f" ({self._silence})" if self._silence else ""
                raise DisconnectedError(f"{self.name} {what} within {limit_s:g} s{reason}")
            if self._stopping.wait(POLL_S):
                raise DisconnectedError(f"{self.name} was released while it started")
        return found

    def _answering(self) -> Address | None:
        """Return its address if ssh answers there; if for good with a no, then the connection will say so.

        Raises:
            DisconnectedError: it has been up, and is not any more.
        """
        address, up = self.address(), self.is_up()
        if self._was_up and not up:
            raise DisconnectedError(f"{self.name} went off while we waited for ssh")
        # Where "up" is an answer to ping, or the like, it comes some time after the start.
        self._was_up = self._was_up or up
        if address is None:
            return None
        self._address_then = address
        try:
            done = over_ssh(address, "true")
        except subprocess.TimeoutExpired:
            return None
        said = done.stderr.decode(errors="replace")
        self._silence = cause(said, "")
        return address if done.returncode == 0 or any(sign in said for sign in HOPELESS) else None

    def stop(self) -> None:
        """Stop it if we started it.

        Raises:
            UserError: it is still up, or that cannot be said; the user has to look. This is said, and tried
                for so long, once for each start.
        """
        self._stopping.set()
        with self._changing:
            if not self._ours or self._told:
                return
            self._log.note("stop")
            until, asked, problem = time.monotonic() + self.halt_s, -math.inf, ""
            while (now := time.monotonic()) < until:
                try:
                    if problem or now > asked + PATIENCE_S:
                        problem, asked = self._shut_down(), now
                    # What was never seen up may still be booting, where the command to stop it fails.
                    if (self._was_up or not problem) and self.is_off():
                        self._disown("stopped")
                        self._say(f"{self.name} is stopped")
                        return
                except (DisconnectedError, UserError) as error:
                    problem = f" ({error})"
                if problem:
                    self._stop_from_inside()
                time.sleep(1)
            self._told = True  # the watchdog tries again when this process ends
            hint = "It may cost money: stop it by hand, and check that it is off"
            raise UserError(
                f"was started by us and may still be running{problem}", where=self.name, hint=hint
            )

    def _shut_down(self) -> str:
        """Ask for its stop; return what was wrong, or ""."""
        try:
            self.shut_down()
        except (DisconnectedError, UserError) as error:
            return f" ({error})"
        return ""

    def _stop_from_inside(self) -> None:
        """Have the machine stop itself, where its provider would not, as when credentials have expired."""
        if self._stops_itself and self._address_then:
            with suppress(subprocess.TimeoutExpired):
                over_ssh(self._address_then, self._stops_itself)

    def _disown(self, event: Literal["stopped", "refused"] = "refused") -> None:
        self._ours = False
        self._log.note(event)
        if self._watchdog:
            self._watchdog.dismiss()
            self._watchdog = None


def over_ssh(address: Address, line: str) -> subprocess.CompletedProcess[bytes]:
    """Run a shell command on a machine, over a connection of its own."""
    alone = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ControlPath=none"]
    command = ["ssh", *alone, *address.options, address.destination, line]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
