"""The machines that jobs run on: how a run uses them, how ssh reaches them, how they start and stop.

A kind of machine is a subclass of ``Machine`` and an entry in ``registry``. Connection, files, environment,
worker, guard and retries are the same for all kinds.
"""

from __future__ import annotations

import math
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sessionscribe.core.errors import UserError, cause
from sessionscribe.runners.errors import DisconnectedError


@dataclass(frozen=True)
class Commands:
    """Shell commands, run here, for ``ssh:HOST``; ``{host}`` is its name, ``state`` succeeds if it is on."""

    start: str
    stop: str
    state: str


@dataclass(frozen=True)
class Settings:
    """How a run uses other machines.

    Attributes:
        project: the project's folder, absolute; the paths of jobs are relative to it.
        staging: a folder for files in transit, on the project's file system so that they can be renamed.
        ssh: options of every ssh command.
        commands: how to start and stop hosts; None if they are always on.
        stops_itself: the shell command with which a machine stops itself; "" for the default of its kind.
        colab_hours: the longest life of a Colab session.
        folder: our folder on a machine, relative to the home folder there.
        python: an interpreter there that has all packages; "" to install an environment.
        torch_backend: the build of torch to install there, as uv names it; "" for the pinned one.
        environment: variables for workers. They are secrets, and never written to a file.
        lanes: number of jobs that a worker runs at once.
        lease_s: seconds without contact after which the guard ends the worker.
        per_audio_second: seconds that a job may take per second of its audio.
        say: shows the user a line.
    """

    project: Path
    staging: Path = Path()
    ssh: tuple[str, ...] = ()
    commands: Commands | None = None
    stops_itself: str = ""
    colab_hours: float = 12.0
    folder: str = ".cache/sessionscribe"
    python: str = ""
    torch_backend: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    lanes: int = 1
    lease_s: float = 60.0
    per_audio_second: float = 10.0
    say: Callable[[str], None] = print


@dataclass(frozen=True)
class Address:
    """How ssh reaches a machine.

    Attributes:
        destination: ``[USER@]HOST``.
        options: options of ssh.
        connect_s: time limit for connecting, in seconds.
        machine_type: the provider's name for such machines, such as ``g5.xlarge``; prices depend on it.
        device: the device that models use there, if it is not the one of the settings.
        environment: variables that programs need there, and that ssh does not set.
        refusals: what the provider answers when a retry is useless: part of the text, what is wrong, a hint.
    """

    destination: str
    options: tuple[str, ...] = ()
    connect_s: float = 30.0
    machine_type: str = ""
    device: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    refusals: tuple[tuple[str, str, str], ...] = ()

    def run(self, command: str) -> subprocess.CompletedProcess[bytes]:
        """Run a shell command there, over a connection of its own.

        Raises:
            DisconnectedError: it takes longer than 30 s.
        """
        alone = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "ControlPath=none"]
        argv = ["ssh", *alone, *self.options, self.destination, command]
        try:
            return subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False
            )
        except subprocess.TimeoutExpired:
            raise DisconnectedError(f"{self.destination}: no answer within 30 s") from None


class Machine(ABC):
    """A machine that jobs run on.

    Args:
        name: the runner's name, such as ``ssh:gpu-box``.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def stop_command(self) -> str:
        """The shell command with which the guard stops the machine; "" unless this run has started it."""
        return ""

    @abstractmethod
    def start(self) -> Address:
        """Start the machine unless it is on, and return its address, which may change with each start.

        Raises:
            DisconnectedError: it did not start; a retry may succeed.
            UnusableError: it cannot be started.
        """

    def stop(self) -> None:  # noqa: B027 -- nothing to do for machines that are always on
        """Stop the machine if this run has started it, and verify that it is off.

        Raises:
            UserError: it may still be on.
        """

    def stop_orphan(self) -> None:  # noqa: B027
        """Stop the machine of a run that was killed; see ``stop``."""

    def seconds_left(self) -> float:
        """Return how long the machine can still be used; infinity if there is no limit."""
        return math.inf

    @abstractmethod
    def check(self) -> str:
        """Return what can be said about the machine without starting it.

        Raises:
            DisconnectedError, UserError: it could not be used.
        """


class Host(Machine):
    """``ssh:HOST``: a machine that is always on."""

    def __init__(self, name: str, address: Address) -> None:
        super().__init__(name)
        self.address = address

    def start(self) -> Address:
        """Return the address."""
        return self.address

    def check(self) -> str:
        """Log in."""
        done = self.address.run("true")
        if done.returncode:
            what = f"cannot be reached ({cause(done.stderr.decode(errors='replace'))})"
            raise UserError(what, where=self.name, hint=f"Make `ssh {self.address.destination}` work first")
        return "reached"
