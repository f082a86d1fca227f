"""What a runner is: how a machine is brought up and stopped, and how ssh finds it.

A kind of runner is one class with the members of ``Machine`` and one entry in ``registry``. All else (files,
environment, worker, guard, retries) is the same for all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


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
