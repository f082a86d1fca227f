"""The kinds of runners, by the word before the colon of a runner's name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sessionscribe.errors import UserError
from sessionscribe.runners import ec2
from sessionscribe.runners.machine import Address, GivenHost, Machine
from sessionscribe.runners.started import CommandHost, Commands

LOCAL = "local"


@dataclass(frozen=True)
class Options:
    """What the user said about all runners.

    Attributes:
        ssh: options of every ssh command.
        commands: how hosts start and stop; None for hosts that stay as they are.
        stops_itself: a shell command with which a machine stops itself; "" for the usual one of its kind.
    """

    ssh: tuple[str, ...] = ()
    commands: Commands | None = None
    stops_itself: str = ""


def _host(name: str, argument: str, options: Options) -> Machine:
    """Return the machine that ``ssh:HOST`` names; HOST is whatever the user's ssh knows."""
    if not argument or argument.startswith("-") or "//" in argument:
        hint = "Write `ssh:HOST` or `ssh:USER@HOST`; a port belongs into ~/.ssh/config"
        raise UserError("names no host", where=name, hint=hint)
    address = Address(argument, options.ssh)
    if options.commands is None:
        return GivenHost(name, address)
    return CommandHost(name, address, options.commands, stops_itself=options.stops_itself)


def _instance(name: str, argument: str, options: Options) -> Machine:
    """Return the machine that ``ec2:INSTANCE`` names."""
    target = ec2.Target.of(name, argument)
    return ec2.Instance(name, target, ssh=options.ssh, stops_itself=options.stops_itself)


KINDS: Mapping[str, Callable[[str, str, Options], Machine]] = {"ssh": _host, "ec2": _instance}


def machine_of(name: str, options: Options = Options()) -> Machine:
    """Return the machine of a runner's name (``KIND:ARGUMENT``).

    Raises:
        UserError: there is no such kind of runner, or its argument is wrong.
    """
    kind, _, argument = name.partition(":")
    if kind not in KINDS:
        known = [LOCAL, *(f"{other}:…" for other in KINDS)]
        near = difflib.get_close_matches(kind, [LOCAL, *KINDS], n=1)
        hint = f"Did you mean `{near[0]}`?" if near else f"There are: {', '.join(known)}"
        raise UserError("is no runner", where=name, hint=hint)
    return KINDS[kind](name, argument, options)
