"""What a runner is: how a machine is brought up and stopped, and how ssh finds it.

A kind of runner is one class with the members of ``Machine`` and one entry in ``registry``. Everything else
(files, environment, worker, guard, retries) is the same for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Commands:
    """Shell commands, run here, in which ``{host}`` is the host's name; ``state`` succeeds if it is up."""

    start: str
    stop: str
    state: str


@dataclass(frozen=True)
class Settings:
    """How other machines are used; the same for all of a run.

    Attributes:
        project: the folder that the paths of jobs are relative to, absolute.
        staging: a folder for files on their way, on the project's file system: they are renamed into place.
        ssh: options of every ssh command.
        commands: how hosts are started and stopped; None for hosts that stay as they are.
        stops_itself: the shell command with which a machine stops itself; "" for the usual one of its kind.
        colab_hours: how long Colab lets a session live.
        folder: our folder on a machine, relative to the home folder there.
        python: an interpreter there whose environment has all packages; "" to install them.
        torch_backend: the build of torch that is installed there, in uv's words; "" for the pinned one.
        environment: variables for workers: secrets, which are written nowhere.
        lanes: jobs at once in one worker.
        lease_s: seconds without a sign of life from home after which the guard ends the worker.
        per_audio_second: seconds that a job may take for each second of its audio.
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
    """How ssh finds a machine: destination, options before it, seconds that a connection may take.

    ``sort`` is what its provider calls machines like it, as ``g5.xlarge``: what it costs may follow from it.
    ``device`` is where models work there, whatever jobs are told; "" as they are told. ``environment`` are
    variables that what runs there needs and would not get from ssh. ``refusals`` are what its provider may
    say instead of a connection, and goes on saying: a part of that, what is wrong, what to do.
    """

    destination: str
    options: tuple[str, ...] = ()
    connect_s: float = 30.0
    sort: str = ""
    device: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    refusals: tuple[tuple[str, str, str], ...] = ()


class Machine(Protocol):
    """A machine that jobs may run on."""

    @property
    def name(self) -> str:
        """What the user called it, as in ``ssh:gpu-box``."""

    @property
    def stop_command(self) -> str:
        """What the guard runs on the machine when home is gone; "" for a machine that is not ours."""

    def start(self) -> Address:
        """Bring it up if it is not, and return its address, which may be another one each time.

        Raises:
            DisconnectedError: it did not come up; another try may go better.
            UnusableError: it will not come up.
        """

    def stop(self) -> None:
        """Stop it if ``start`` started it, and make sure that it is stopped."""

    def seconds_left(self) -> float:
        """Return for how long it can still be used; infinite where nobody takes it away."""


@dataclass(frozen=True)
class GivenHost:
    """``ssh:HOST``: a machine that is there, and stays on, whoever uses it."""

    name: str
    address: Address
    stop_command: str = ""

    def start(self) -> Address:
        """Return its address: it is up, or ssh will say so."""
        return self.address

    def stop(self) -> None:
        """Leave it as it is: it is not ours."""

    def seconds_left(self) -> float:
        """Return infinity."""
        return math.inf
