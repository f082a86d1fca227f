"""Machines that are started when there is work and stopped afterwards.

A machine that was on before the run is left on. One that the run has started is always stopped, and the
provider has to confirm that: for the run itself; if the run is killed, for a watchdog process on this
computer; if this computer is gone as well, the guard on the machine stops it. If the provider refuses to stop
it, for example because credentials have expired, the machine is told through ssh to stop itself.
"""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
import threading
import time
from abc import abstractmethod
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Literal, TypeVar

from sessionscribe.core.errors import UserError, cause
from sessionscribe.runners.connection import hopeless
from sessionscribe.runners.errors import DisconnectedError
from sessionscribe.runners.machine import Address, Machine, Settings
from sessionscribe.runners.usage_log import note_event

T = TypeVar("T")
State = Literal["up", "stopping", "off"]

POLL_S = 2.0
"""Pause between two questions whether a machine is on, in seconds."""
STOP_AGAIN_S = 15.0
"""A machine that is still on after this time is asked to stop again."""
WAIT_AND_STOP = r"""
read -r machine
read -r _ && exit
tries=8
until printf '%s\n' "$machine" | "$@"; do
    [ $((tries -= 1)) -gt 0 ] || exit
    sleep 30
done
"""
"""A shell script: if its input ends after one line, run the arguments with that line until they succeed."""


class ManagedMachine(Machine):
    """A machine that a provider starts and stops; subclasses implement the calls.

    Args:
        name: the runner's name.
        settings: how the run uses machines.
        stops_itself: a shell command with which the machine stops itself; "" if there is none.

    Attributes:
        boot_s: time limit for a start, until ssh answers, in seconds.
        halt_s: time limit for a stop, in seconds.
        by_hand: how the user can stop it.
        stop_reason: why it has stopped by itself, in parentheses; "" if that is not known.
    """

    boot_s = halt_s = 300.0
    by_hand = "stop it by hand, and check that it is off"
    stop_reason = ""

    def __init__(self, name: str, settings: Settings, stops_itself: str) -> None:
        super().__init__(name)
        self._settings, self._say, self._stops_itself = settings, settings.say, stops_itself
        self._note = partial(note_event, settings.project, name)
        # It runs as long as the machine is, or may be, on because of us.
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._starts, self._was_up, self._gave_up = 0, False, False
        self._ssh_error = ""
        self._last_address: Address | None = None
        self._changing, self._stopping = threading.RLock(), threading.Event()

    @abstractmethod
    def look(self) -> tuple[State, Address | None]:
        """Ask the provider for the state, and for the address, if it is known yet.

        A machine that is starting counts as up. If one has stopped by itself, ``stop_reason`` is set.
        """

    def state(self) -> State:
        """Ask the provider for the state."""
        return self.look()[0]

    @abstractmethod
    def bring_up(self) -> None:
        """Ask the provider to start the machine; call ``not_started`` if it certainly does not.

        Raises:
            DisconnectedError: the request failed; a retry may succeed.
            UnusableError: the machine cannot be started.
        """

    @abstractmethod
    def shut_down(self) -> None:
        """Ask the provider to stop the machine.

        Raises:
            DisconnectedError, UserError: the request failed; it is repeated for ``halt_s``.
        """

    @property
    def target(self) -> str:
        """The machine as ``registry.machine_of`` finds it again."""
        return self.name

    @property
    def stop_command(self) -> str:
        """The shell command with which the guard stops the machine; "" unless this run has started it."""
        return self._stops_itself if self._watchdog else ""

    def start(self) -> Address:
        """Start the machine unless it is on, wait until ssh answers, and return its address."""
        with self._changing:
            self._stopping.clear()
            self._gave_up = False
            self._was_up = was_up = self.state() == "up"
            if was_up:
                if not self._watchdog:
                    self._note("running")
            else:
                self._wait(lambda: self.state() == "off", self.halt_s, "is still stopping")
                if self._starts:  # somebody else has stopped it
                    self._note("stopped")
                # From now on it counts as started by us, even if the answer to the request is lost.
                self._watch()
                self._starts += 1
                self._say(f"{self.name} is off: starting it")
                self._note("start")
                self.bring_up()
            address = self._wait(self._answering_address, self.boot_s, "is up, but ssh does not answer")
            if not was_up:
                self._note("ready", address.machine_type)
            return address

    def _watch(self) -> None:
        """Start the watchdog unless it runs: a process that stops the machine if this process is killed."""
        if self._watchdog:
            return
        command = [sys.executable, "-m", "sessionscribe.runners.registry"]
        self._watchdog = subprocess.Popen(
            ["sh", "-c", WAIT_AND_STOP, "sessionscribe-stop", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # neither Ctrl-C nor the end of the terminal reaches it
        )
        assert self._watchdog.stdin is not None
        # Not as arguments: everybody on this computer can read those, and commands may contain passwords.
        settings = replace(self._settings, environment={}, say=print)
        self._watchdog.stdin.write(b64encode(pickle.dumps((self.target, self.name, settings))) + b"\n")
        self._watchdog.stdin.flush()

    def _wait(self, find: Callable[[], T | None], limit_s: float, problem: str) -> T:
        """Repeat ``find`` until it finds something, and return that."""
        self._ssh_error = ""
        until = time.monotonic() + limit_s
        while not (found := find()):
            if time.monotonic() > until:
                reason = f" ({self._ssh_error})" if self._ssh_error else ""
                raise DisconnectedError(f"{self.name} {problem} within {limit_s:g} s{reason}")
            if self._stopping.wait(POLL_S):
                raise DisconnectedError(f"{self.name} was released while it started")
        return found

    def _answering_address(self) -> Address | None:
        """Return the address if ssh answers; also if it refuses for good, which ``Connection`` will report.

        Raises:
            DisconnectedError: the machine was up, and is no longer.
        """
        state, address = self.look()
        if self._was_up and state != "up":
            raise DisconnectedError(f"{self.name} went off while we waited for ssh{self.stop_reason}")
        # If the state is found by ping, for example, it is "up" only some time after the start.
        self._was_up = self._was_up or state == "up"
        if address is None:
            return None
        self._last_address = address
        try:
            done = address.run("true")
        except DisconnectedError:
            return None
        said = done.stderr.decode(errors="replace")
        self._ssh_error = cause(said, "")
        self._was_up = self._was_up or done.returncode == 0
        return address if done.returncode == 0 or hopeless(said) else None

    def stop(self) -> None:
        """Stop the machine if this run has started it, and verify that it is off.

        Raises:
            UserError: it may still be on. That is tried, and reported, once for each start.
        """
        self._stopping.set()
        with self._changing:
            if self._watchdog and not self._gave_up:
                self._note("stop")
                self._stop()

    def stop_orphan(self) -> None:
        """Stop the machine of a run that was killed."""
        with suppress(DisconnectedError, UserError):
            self._was_up = self.state() == "up"
        self._stop()

    def _stop(self) -> None:
        until, asked, problem = time.monotonic() + self.halt_s, -math.inf, ""
        while (now := time.monotonic()) < until:
            try:
                if problem or now > asked + STOP_AGAIN_S:
                    problem, asked = self._shut_down(), now
                # One that was never up may still be starting, and cannot be stopped until then.
                if (self._was_up or not problem) and self.state() == "off":
                    self._release("stopped")
                    self._say(f"{self.name} is stopped")
                    return
            except (DisconnectedError, UserError) as error:
                problem = f" ({error})"
            if problem and self._stops_itself and self._last_address:
                with suppress(DisconnectedError):
                    self._last_address.run(self._stops_itself)
            time.sleep(1)
        self._gave_up = True  # the watchdog tries again when this process ends
        what = f"was started by us and may still be running{problem}"
        raise UserError(what, where=self.name, hint=f"It may cost money: {self.by_hand}")

    def _shut_down(self) -> str:
        """Ask the provider to stop the machine; return what went wrong, or ""."""
        try:
            self.shut_down()
        except (DisconnectedError, UserError) as error:
            return f" ({error})"
        return ""

    def not_started(self) -> None:
        """Note that a request has not started the machine; an earlier one may have."""
        if self._starts == 1:
            self._release("refused")

    def _release(self, event: Literal["stopped", "refused"]) -> None:
        self._note(event)
        self._starts = 0
        if self._watchdog:
            with suppress(OSError):  # it was killed
                self._watchdog.communicate(b"\n")
            self._watchdog.wait()
            self._watchdog = None
