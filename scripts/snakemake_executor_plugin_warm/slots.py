"""The slots for workers, on this machine and on others, that the executor's settings ask for."""

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


def local_slots(count: int, lanes: int) -> list[WorkerSlot]:
    """Return slots for ``count`` workers on this machine, each with ``lanes`` jobs at once."""

    def slot(number: int) -> WorkerSlot:
        return WorkerSlot("this machine", lambda log: LocalWorker(number, lanes, log=log), lanes)

    return [slot(number) for number in range(count)]


def remote_slots(settings: Any, say: Callable[[str], None]) -> list[WorkerSlot]:
    """Return the slots for all runners in the executor's settings except ``local``.

    Raises:
        WorkflowError: a name is not a runner's, or a machine would be started but never stopped.
    """
    names = dict.fromkeys(name for name in settings.runner if name != LOCAL)
    if not names:
        return []
    try:
        how = _remote_settings(settings, say)
        return [_slot(name, how, settings.tries) for name in names]
    except UserError as error:
        raise WorkflowError(f"--warm-runner: {error}") from None


def _slot(name: str, settings: Settings, tries: int) -> WorkerSlot:
    # Runs on this machine alone must not pay for these imports.
    from sessionscribe.runners.mailbox_home import MailboxWorker  # noqa: PLC0415
    from sessionscribe.runners.registry import machine_of  # noqa: PLC0415
    from sessionscribe.runners.remote import RemoteWorker  # noqa: PLC0415

    if name.startswith(MAILBOX):
        place = name.removeprefix(MAILBOX)
        return WorkerSlot(name, lambda _log: MailboxWorker(place, settings), settings.lanes, tries=tries)
    machine = machine_of(name, settings)
    # The files of one more job travel while others run.
    return WorkerSlot(
        name, lambda _log: RemoteWorker(machine, settings), settings.lanes, 1, tries, machine.stop
    )


def _remote_settings(settings: Any, say: Callable[[str], None]) -> Settings:
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
        stops_itself=settings.remote_stop_command,
        colab_hours=settings.colab_hours,
        folder=settings.remote_dir,
        python=settings.remote_python,
        torch_backend=settings.remote_torch,
        environment={name: os.environ[name] for name in secrets if name in os.environ},
        lanes=max(1, settings.lanes),
        lease_s=settings.lease,
        per_audio_second=settings.patience,
        say=lambda text: say(f"warm: {text}"),
    )
