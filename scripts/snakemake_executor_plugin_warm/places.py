"""Places for workers, here and on other machines, as the settings ask for them."""

from __future__ import annotations

import atexit
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake.exceptions import WorkflowError

from sessionscribe.core.errors import UserError
from sessionscribe.runners.worker_process import LocalWorker
from snakemake_executor_plugin_warm.pool import WorkerSlot

if TYPE_CHECKING:
    from sessionscribe.runners.machine import Settings

LOCAL, MAILBOX = "local", "mailbox:"
STAGING = Path(".snakemake/warm")


def local_places(size: int, lanes: int) -> list[WorkerSlot]:
    """Return places for ``size`` workers on this machine, each with ``lanes`` jobs at once."""

    def place(slot: int) -> WorkerSlot:
        return WorkerSlot("this machine", lambda log: LocalWorker(slot, lanes, log=log), lanes)

    return [place(slot) for slot in range(size)]


def remote_places(settings: Any, say: Callable[[str], None]) -> list[WorkerSlot]:
    """Return the places that the executor's settings name beside ``local``.

    Args:
        settings: the executor's.
        say: shows the user a line.

    Raises:
        WorkflowError: a name is not a runner's, or a machine is started and never stopped.
    """
    names = dict.fromkeys(name for name in settings.runner if name != LOCAL)
    if not names:
        return []
    try:
        how = _settings(settings, say)
        return [_place(name, how, settings.tries) for name in names]
    except UserError as error:
        raise WorkflowError(f"--warm-runner: {error}") from None


def _place(name: str, settings: Settings, tries: int) -> WorkerSlot:
    # A run on this machine alone does not pay for these.
    from sessionscribe.runners.mailbox_home import MailboxWorker  # noqa: PLC0415
    from sessionscribe.runners.registry import machine_of  # noqa: PLC0415
    from sessionscribe.runners.remote import RemoteWorker  # noqa: PLC0415

    if name.startswith(MAILBOX):
        place = name.removeprefix(MAILBOX)
        return WorkerSlot(name, lambda _log: MailboxWorker(place, settings), settings.lanes, tries=tries)
    machine = machine_of(name, settings)
    # One job more than lanes: its files travel while another one is at work.
    return WorkerSlot(
        name, lambda _log: RemoteWorker(machine, settings), settings.lanes, 1, tries, machine.stop
    )


def _settings(settings: Any, say: Callable[[str], None]) -> Settings:
    """Return what the executor's settings say about all other machines.

    Raises:
        UserError: they say how to start a machine, and not how to stop it.
    """
    from sessionscribe.runners.connection import folder_of_process  # noqa: PLC0415
    from sessionscribe.runners.machine import Commands, Settings  # noqa: PLC0415

    commands = (settings.start_command, settings.stop_command, settings.state_command)
    if any(commands) and not all(commands):
        hint = "Give all three: warm-start-command, warm-stop-command, warm-state-command"
        raise UserError("a machine that is started must also be stopped", where="settings", hint=hint)
    STAGING.mkdir(parents=True, exist_ok=True)
    staging = folder_of_process(STAGING)
    atexit.register(shutil.rmtree, staging, ignore_errors=True)
    secrets = settings.secrets.replace(",", " ").split()
    return Settings(
        project=Path.cwd(),
        staging=staging,
        ssh=("-F", str(Path(settings.ssh_config).absolute())) if settings.ssh_config else (),
        commands=Commands(*commands) if all(commands) else None,
        stops_itself=settings.remote_stop_command or "",
        colab_hours=settings.colab_hours,
        folder=settings.remote_dir,
        python=settings.remote_python or "",
        torch_backend=settings.remote_torch or "",
        environment={name: os.environ[name] for name in secrets if name in os.environ},
        lanes=max(1, settings.lanes),
        lease_s=settings.lease,
        per_audio_second=settings.patience,
        say=lambda text: say(f"warm: {text}"),
    )
