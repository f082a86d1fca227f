"""The kinds of runners, by the word before the colon of a runner's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sessionscribe.core.errors import UserError, meant
from sessionscribe.runners.colab import Colab
from sessionscribe.runners.command_machine import CommandMachine
from sessionscribe.runners.ec2 import Instance
from sessionscribe.runners.machine import Address, GivenHost, Machine, Settings

LOCAL = "local"


def _host(name: str, argument: str, settings: Settings) -> Machine:
    """Return the machine that ``ssh:HOST`` names; HOST is whatever the user's ssh knows."""
    if not argument or argument.startswith("-") or "//" in argument:
        hint = "Write `ssh:HOST` or `ssh:USER@HOST`; a port belongs into ~/.ssh/config"
        raise UserError("names no host", where=name, hint=hint)
    address = Address(argument, settings.ssh)
    if settings.commands is None:
        return GivenHost(name, address)
    return CommandMachine(name, address, settings.commands, settings)


KINDS: Mapping[str, Callable[[str, str, Settings], Machine]] = {
    "ssh": _host,
    "ec2": Instance,
    "colab": Colab,
}


def machine_of(name: str, settings: Settings) -> Machine:
    """Return the machine of a runner's name (``KIND:ARGUMENT``).

    Raises:
        UserError: there is no such kind of runner, or its argument is wrong.
    """
    kind, _, argument = name.partition(":")
    if kind not in KINDS:
        raise UserError("is not a runner", where=name, hint=meant(kind, [LOCAL, *KINDS]))
    return KINDS[kind](name, argument, settings)
