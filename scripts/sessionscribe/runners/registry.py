"""The kinds of machines, by the word before the colon of a runner's name.

    python -m sessionscribe.runners.registry

stops the machine of a run that was killed; ``managed_machine`` starts it and writes the machine to its input.
"""

from __future__ import annotations

import pickle
import re
import sys
from base64 import b64decode
from collections.abc import Callable, Mapping

from sessionscribe.core.errors import UserError, meant
from sessionscribe.runners.colab import Colab
from sessionscribe.runners.command_machine import CommandMachine
from sessionscribe.runners.ec2 import Instance
from sessionscribe.runners.machine import Address, Host, Machine, Settings

LOCAL = "local"
NO_HOST = re.compile(r"^[-@]|(^|@)$|[/\[\]\s]|^[^:]*:\d*$")
"""What ssh does not take as a host: also URLs, brackets, and a port, unlike an IPv6 address."""


def _host(name: str, argument: str, settings: Settings) -> Machine:
    if NO_HOST.search(argument):
        hint = "Write `ssh:HOST` or `ssh:USER@HOST`; a port belongs into ~/.ssh/config"
        raise UserError("names no host", where=name, hint=hint)
    address = Address(argument, settings.ssh)
    if settings.commands is None:
        return Host(name, address)
    return CommandMachine(name, address, settings.commands, settings)


KINDS: Mapping[str, Callable[[str, str, Settings], Machine]] = {
    "ssh": _host,
    "ec2": Instance,
    "colab": Colab,
}


def machine_of(target: str, settings: Settings, name: str = "") -> Machine:
    """Return a machine.

    Args:
        target: which: ``KIND:ARGUMENT``.
        settings: how the run uses machines.
        name: the runner's name, if that is not ``target``.

    Raises:
        UserError: there is no such kind, or its argument is wrong.
    """
    kind, _, argument = target.partition(":")
    if kind not in KINDS:
        raise UserError("is not a runner", where=target, hint=meant(kind, [LOCAL, *KINDS]))
    return KINDS[kind](name or target, argument, settings)


if __name__ == "__main__":
    orphan, runner, how = pickle.loads(b64decode(sys.stdin.readline()))
    machine_of(orphan, how, runner).stop_orphan()
