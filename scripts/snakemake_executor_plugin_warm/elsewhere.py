"""Places for workers on other machines, as the settings ask for them."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakemake.exceptions import WorkflowError

from sessionscribe.core.errors import UserError
from snakemake_executor_plugin_warm.slot import WorkerSlot
from snakemake_executor_plugin_warm.worker import SERVE

if TYPE_CHECKING:
    from sessionscribe.runners.registry import Options
    from sessionscribe.runners.remote_workspace import Settings

LOCAL, MAILBOX = "local", "mailbox:"
STAGING = Path(".snakemake/warm")


def remote_places(settings: Any, say: Callable[[str], None]) -> list[WorkerSlot]:
    """Return the places that the executor's settings name beside ``local``.

    Each has one job more than lanes: its files travel while another one is at work.

    Args:
        settings: the executor's.
        say: shows the user a line.

    Raises:
        WorkflowError: a name is not a runner's.
    """
    names = [name for name in settings.runner if name != LOCAL]
    if not names:
        return []
    # A run on this machine alone does not pay for these.
    from sessionscribe.runners.registry import machine_of  # noqa: PLC0415
    from sessionscribe.runners.remote import RemoteWorker  # noqa: PLC0415
    from sessionscribe.runners.remote_workspace import Settings  # noqa: PLC0415

    lanes, project = max(1, settings.lanes), Path.cwd()
    secrets = [name for name in settings.secrets.replace(",", " ").split() if name in os.environ]
    how = Settings(
        project=project,
        staging=_staging(),
        serve=SERVE,
        folder=settings.remote_dir,
        python=settings.remote_python or "",
        torch_backend=settings.remote_torch or "",
        environment={name: os.environ[name] for name in secrets},
        lanes=lanes,
        lease_s=settings.lease,
        alive_s=settings.lease / 2,
        per_audio_second=settings.patience,
    )

    def place(name: str, options: Options) -> WorkerSlot:
        if name.startswith(MAILBOX):
            return _mailbox(name.removeprefix(MAILBOX), how, options.say)
        machine = machine_of(name, options)
        return WorkerSlot(name, lambda _log: RemoteWorker(machine, how), lanes, 1, release=machine.stop)

    try:
        options = replace(_options(settings, project), say=lambda text: say(f"warm: {text}"))
        return [place(name, options) for name in dict.fromkeys(names)]
    except UserError as error:
        raise WorkflowError(f"--warm-runner: {error}") from None


def _mailbox(place: str, how: Settings, say: Callable[[str], None]) -> WorkerSlot:
    """Return the place whose jobs lie in a folder or on a remote, for whoever takes them."""
    from sessionscribe.runners.mailbox import Mailbox  # noqa: PLC0415
    from sessionscribe.runners.mailbox_home import MailboxWorker  # noqa: PLC0415

    def start(_log: str | None) -> MailboxWorker:
        return MailboxWorker(
            Mailbox(place),
            how.project,
            how.staging,
            per_audio_second=how.per_audio_second,
            say=say,
        )

    return WorkerSlot(f"{MAILBOX}{place}", start, how.lanes)


def _options(settings: Any, project: Path) -> Options:
    """Return what the settings say about all runners.

    Raises:
        UserError: they say how to start a machine, and not how to stop it.
    """
    from sessionscribe.runners.command_machine import Commands  # noqa: PLC0415
    from sessionscribe.runners.registry import Options  # noqa: PLC0415

    ssh = ("-F", str(Path(settings.ssh_config).absolute())) if settings.ssh_config else ()
    given = (settings.start_command, settings.stop_command, settings.state_command)
    stops_itself = settings.remote_stop_command or ""
    if not any(given):
        return Options(project, ssh, stops_itself=stops_itself, colab_hours=settings.colab_hours)
    if not all(given):
        hint = "Give all three: warm-start-command, warm-stop-command, warm-state-command"
        raise UserError("a machine that is started must also be stopped", where="settings", hint=hint)
    return Options(project, ssh, Commands(*given), stops_itself, settings.colab_hours)


def _staging() -> Path:
    """Return a folder of this process for files on their way; those of killed processes are removed."""
    STAGING.mkdir(parents=True, exist_ok=True)
    for left in STAGING.iterdir():
        pid = left.name.split("-")[0]
        with suppress(OSError, ValueError):
            try:
                os.kill(int(pid), 0)
            except ProcessLookupError:
                shutil.rmtree(left)
    ours = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=STAGING)).absolute()
    atexit.register(shutil.rmtree, ours, ignore_errors=True)
    return ours
