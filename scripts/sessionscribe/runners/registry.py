"""The kinds of runners, by the word before the colon of a runner's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sessionscribe.core.errors import UserError, meant
from sessionscribe.runners import colab, ec2
from sessionscribe.runners.command_machine import CommandMachine, Commands
from sessionscribe.runners.machine import Address, GivenHost, Machine
from sessionscribe.runners.machine_log import MACHINES
from sessionscribe.runners.managed_machine import Handling

LOCAL = "local"


@dataclass(frozen=True)
class Options:
    """What the user said about all runners.

    Attributes:
        project: the project's folder, absolute.
        ssh: options of every ssh command.
        commands: how hosts start and stop; None for hosts that stay as they are.
        stops_itself: a shell command with which a machine stops itself; "" for the usual one of its kind.
        colab_hours: for how long Colab lets a session be.
        say: shows the user a line.
    """

    project: Path
    ssh: tuple[str, ...] = ()
    commands: Commands | None = None
    stops_itself: str = ""
    colab_hours: float = colab.HOURS
    say: Callable[[str], None] = print


def _host(name: str, argument: str, options: Options) -> Machine:
    """Return the machine that ``ssh:HOST`` names; HOST is whatever the user's ssh knows."""
    if not argument or argument.startswith("-") or "//" in argument:
        hint = "Write `ssh:HOST` or `ssh:USER@HOST`; a port belongs into ~/.ssh/config"
        raise UserError("names no host", where=name, hint=hint)
    address = Address(argument, options.ssh)
    if options.commands is None:
        return GivenHost(name, address)
    handling = Handling(options.stops_itself, say=options.say, log=options.project / MACHINES)
    return CommandMachine(name, address, options.commands, handling)


def _instance(name: str, argument: str, options: Options) -> Machine:
    """Return the machine that ``ec2:INSTANCE`` names."""
    target = ec2.Target.of(name, argument)
    handling = Handling(
        options.stops_itself, ec2.HALT_S, ec2.HALT_S, say=options.say, log=options.project / MACHINES
    )
    return ec2.Instance(name, target, options.ssh, handling)


def _session(name: str, argument: str, options: Options) -> Machine:
    """Return the machine that ``colab:ACCELERATOR,…`` names."""
    return colab.Colab(
        name,
        colab.accelerators_of(name, argument),
        project=options.project,
        hours=options.colab_hours,
        stops_itself=options.stops_itself,
        say=options.say,
    )


KINDS: Mapping[str, Callable[[str, str, Options], Machine]] = {
    "ssh": _host,
    "ec2": _instance,
    "colab": _session,
}


def machine_of(name: str, options: Options) -> Machine:
    """Return the machine of a runner's name (``KIND:ARGUMENT``).

    Raises:
        UserError: there is no such kind of runner, or its argument is wrong.
    """
    kind, _, argument = name.partition(":")
    if kind not in KINDS:
        raise UserError("is not a runner", where=name, hint=meant(kind, [LOCAL, *KINDS]))
    return KINDS[kind](name, argument, options)
