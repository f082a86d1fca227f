"""What a runner is: how a machine is brought up and stopped, and how ssh finds it.

A kind of runner is one class with the members of ``Machine`` and one entry in ``KINDS``. All else (files,
environment, worker, guard, retries) is the same for all of them.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from sessionscribe.errors import UserError


@dataclass(frozen=True)
class Address:
    """How ssh finds a machine: destination, options before it, seconds that a connection may take."""

    destination: str
    options: tuple[str, ...] = ()
    connect_s: float = 30.0


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
            LostError: it did not come up; another try may go better.
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


def given_host(name: str, argument: str, ssh_options: tuple[str, ...]) -> Machine:
    """Return the machine that ``ssh:HOST`` names; HOST is whatever the user's ssh knows."""
    if not argument or argument.startswith("-") or "//" in argument:
        hint = "Write `ssh:HOST` or `ssh:USER@HOST`; a port belongs into ~/.ssh/config"
        raise UserError("names no host", where=name, hint=hint)
    return GivenHost(name, Address(argument, ssh_options))


KINDS: Mapping[str, Callable[[str, str, tuple[str, ...]], Machine]] = {"ssh": given_host}
LOCAL = "local"


def machine_of(name: str, ssh_options: tuple[str, ...] = ()) -> Machine:
    """Return the machine of a runner's name (``KIND:ARGUMENT``).

    Args:
        name: as the user wrote it.
        ssh_options: options for every ssh command, such as ``("-F", "my_config")``.

    Raises:
        UserError: there is no such kind of runner, or its argument is wrong.
    """
    kind, _, argument = name.partition(":")
    if kind not in KINDS:
        known = [LOCAL, *(f"{other}:…" for other in KINDS)]
        near = difflib.get_close_matches(kind, [LOCAL, *KINDS], n=1)
        hint = f"Did you mean `{near[0]}`?" if near else f"There are: {', '.join(known)}"
        raise UserError("is no runner", where=name, hint=hint)
    return KINDS[kind](name, argument, ssh_options)
