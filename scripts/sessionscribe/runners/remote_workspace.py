"""Our place on a machine that is connected: a folder, the tools, the environment, the scripts, the models."""

from __future__ import annotations

import hashlib
import platform
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sessionscribe.core.errors import UserError, cause
from sessionscribe.core.files import sha256
from sessionscribe.runners import sources
from sessionscribe.runners.connection import Connection, RemoteError
from sessionscribe.runners.errors import DiedError, UnusableError
from sessionscribe.runners.job_bundle import hub_models
from sessionscribe.runners.lines import SERVE
from sessionscribe.runners.machine import Machine, Settings
from sessionscribe.runners.request import model_request
from sessionscribe.runners.worker_connection import WorkerConnection

HERE = Path(__file__).parent
REQUIREMENTS, UV_REQUIREMENTS = "requirements.txt", "uv.txt"
KEPT_DAYS = 30
"""After so long without use, what lies in our folder on a machine is removed."""
ENVIRONMENT_S = 3600.0
"""How long a machine may take to make its environment."""
MODELS_S = 7200.0
"""How long a machine may take to fetch a model from the hub."""


class RemoteWorkspace:
    """Our place on a machine.

    Args:
        machine: which.
        settings: how it is used.
        connection: to it, open.

    Raises:
        DisconnectedError: the connection was lost.
        UnusableError: the machine will not do: no room, no Python, no environment.

    Attributes:
        mirror: the folder there in which jobs run, with their files at the same paths as in the project.
    """

    def __init__(self, machine: Machine, settings: Settings, connection: Connection) -> None:
        self.machine, self.settings, self.connection = machine, settings, connection
        self._scripts: dict[Path, str] = {}
        self._models: set[str] = set()
        self._root = self._prepare_folder()
        project = f"{platform.node()}:{settings.project}:{machine.name}"
        self.mirror = f"{self._root}/work/{hashlib.sha256(project.encode()).hexdigest()[:16]}"
        tools = [(HERE, "guard.py"), (HERE, "environment.py"), (SERVE.parent, SERVE.name)]
        self._tools = sources.ship(connection, self._root, tools)
        self._python = settings.python or self._environment()

    def _prepare_folder(self) -> str:
        """Return our folder there, absolute; what lay in it unused for long is removed."""
        folder = shlex.quote(self.settings.folder)
        make = f"cd && mkdir -p {folder} && chmod 700 {folder} && cd {folder} && mkdir -p src work env"
        clear = f"find src work env -mindepth 1 -maxdepth 1 -mtime +{KEPT_DAYS} -exec rm -rf {{}} +"
        command = f"exec sh -c {shlex.quote(f'{make} || exit 1; {clear}; pwd -P')}"
        try:
            return self.connection.run(command, timeout_s=300).strip()
        except RemoteError as error:
            what, hint = f"cannot make a folder there ({error})", "Choose another one with `warm-remote-dir`"
            raise UnusableError(what, where=self.machine.name, hint=hint) from None

    def _environment(self) -> str:
        """Return the interpreter of the environment there; make it if the requirements changed."""
        pins = self.settings.project / "envs"
        if not (pins / REQUIREMENTS).is_file():
            hint = "Name an interpreter that has all packages: `warm-remote-python`"
            raise UnusableError(f"there is no envs/{REQUIREMENTS}", where=self.settings.project, hint=hint)
        build = [self.settings.torch_backend] if self.settings.torch_backend else []
        folder = f"{self._root}/env/{'-'.join([sha256(pins / REQUIREMENTS)[:16], *build])}"
        self.connection.send([(pins, REQUIREMENTS), (pins, UV_REQUIREMENTS)], f"{folder}-pins")
        given = (f"{folder}-pins/{file}" for file in (REQUIREMENTS, UV_REQUIREMENTS))
        argv = ["python3", f"{self._tools}/environment.py", *given, folder, *build]
        channel = self.start(f"{self.mirror}/.environment", argv, python="python3")
        try:
            return str(channel.ask({}, ENVIRONMENT_S)["python"])
        except DiedError as death:
            reason = cause(channel.said(), str(death), besides=("exit code", "hint:"))
            hint = "Log in and look, or name an interpreter that has all packages with `warm-remote-python`"
            what = f"cannot make the environment there ({reason})"
            raise UnusableError(what, where=self.machine.name, hint=hint) from None
        finally:
            channel.end()
            channel.wait(10)

    def start(self, folder: str, argv: Sequence[str], *, python: str = "") -> WorkerConnection:
        """Start a program there, under a guard that is run by ``python`` (else the environment's)."""
        return WorkerConnection(
            self.connection,
            f"exec {shlex.join([python or self._python, f'{self._tools}/guard.py'])}",
            argv,
            cwd=folder,
            environment={**dict(self.connection.address.environment), **self.settings.environment},
            lease_s=self.settings.lease_s,
            stop=self.machine.stop_command,
        )

    def start_worker(self, folder: str, lanes: int) -> WorkerConnection:
        """Start a worker there."""
        return self.start(folder, [self._python, f"{self._tools}/{SERVE.name}", "--lanes", str(lanes)])

    def ship(self, scripts: Path) -> str:
        """Bring a folder of scripts there, if it is not, and return where it is."""
        if scripts not in self._scripts:
            folder = sources.ship(self.connection, self._root, list(sources.files_of(scripts)))
            self._scripts[scripts] = f"{folder}/{scripts.name}"
        return self._scripts[scripts]

    def fetch_models(self, request: dict[str, Any]) -> None:
        """Let the machine fetch models from the hub before a job needs them: jobs never ask it themselves.

        Raises:
            UserError: it cannot have one; the message names the ways out.
            DiedError: the worker that did it died.
        """
        script = Path(request["script"]).with_name("check_models.py")
        for kind, model in hub_models(request, self.settings.project):
            if model in self._models or not script.is_file():
                continue
            channel = self.start_worker(f"{self.mirror}/.models", 1)
            try:
                there = f"{self.ship(script.parent)}/{script.name}"
                reply = channel.ask(model_request(there, kind, model), MODELS_S)
            finally:
                channel.end()
                channel.wait(10)
            if reply["code"]:
                raise UserError(reply["error"], where=self.machine.name, hint="Nothing was lost")
            self._models.add(model)
