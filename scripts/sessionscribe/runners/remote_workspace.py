"""Our folder on a connected machine, with tools, environment, scripts and models."""

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
from sessionscribe.runners.connection import Connection
from sessionscribe.runners.environment import CANDIDATES, OLDEST
from sessionscribe.runners.errors import DiedError, UnusableError
from sessionscribe.runners.job_bundle import hub_models
from sessionscribe.runners.machine import Machine, Settings
from sessionscribe.runners.request import model_request
from sessionscribe.runners.worker_connection import WorkerConnection
from sessionscribe.runners.worker_process import SERVE

HERE = Path(__file__).parent
REQUIREMENTS, UV_REQUIREMENTS = "requirements.txt", "uv.txt"
COMPLETE = ".whole"
"""A file in each folder of scripts that was copied completely."""
FIND_PYTHON = (
    f'for python in {" ".join(CANDIDATES)}; do "$python" 2>/dev/null -c "import sys; '
    f'sys.exit(sys.version_info < {OLDEST})" && echo "$python" && break; done; true'
)
"""A shell script that prints the first interpreter that is new enough, if there is one."""
KEPT_DAYS = 30
"""Folders there that have not been used for this long are removed."""
ENVIRONMENT_S = 3600.0
"""Time limit for installing the environment there."""
MODELS_S = 7200.0
"""Time limit for downloading a model there."""


class RemoteWorkspace:
    """Our folder on a machine.

    Args:
        machine: the machine.
        settings: how the run uses machines.
        connection: an open connection to the machine.

    Raises:
        DisconnectedError: the connection was lost.
        UnusableError: there is no room, no Python, or no environment there.

    Attributes:
        mirror: the folder there in which jobs run, with files at the same paths as in the project.
    """

    def __init__(self, machine: Machine, settings: Settings, connection: Connection) -> None:
        self.machine, self.settings, self.connection = machine, settings, connection
        self._scripts: dict[Path, str] = {}
        self._models: set[str] = set()
        self._root = self._prepare_folder()
        project = f"{platform.node()}:{settings.project}:{machine.name}"
        self.mirror = f"{self._root}/work/{hashlib.sha256(project.encode()).hexdigest()[:16]}"
        self._tools = self._copy([(HERE, "guard.py"), (HERE, "environment.py"), (SERVE.parent, SERVE.name)])
        self._python = settings.python or self._environment()

    def _prepare_folder(self) -> str:
        """Make our folder there, remove what has long been unused, and return its absolute path."""
        folder = shlex.quote(self.settings.folder)
        make = f"cd && mkdir -p {folder} && chmod 700 {folder} && cd {folder} && mkdir -p src work env"
        clear = f"find src work env -mindepth 1 -maxdepth 1 -mtime +{KEPT_DAYS} -exec rm -rf {{}} +"
        command = f"exec sh -c {shlex.quote(f'{make} || exit 1; {clear}; pwd -P')}"
        return self.connection.run(command, timeout_s=300).strip()

    def _copy(self, files: Sequence[tuple[Path, str]]) -> str:
        """Copy source files there, unless they are there, and return the folder there.

        Args:
            files: as for ``sources.name_of``.
        """
        folder = f"{self._root}/src/{sources.name_of(files)}"
        quoted = shlex.quote(folder)
        look = f"mkdir -p {quoted}; touch {quoted}; test -e {quoted}/{COMPLETE} && echo complete || true"
        if not self.connection.run(f"exec sh -c {shlex.quote(look)}"):
            self.connection.send(files, folder)
            self.connection.run(f"touch {quoted}/{COMPLETE}")
        return folder

    def _environment(self) -> str:
        """Return the interpreter of the environment there, which is installed for each new requirements."""
        pins = self.settings.project / "envs"
        if not (pins / REQUIREMENTS).is_file():
            hint = "Name an interpreter that has all packages: `warm-remote-python`"
            raise UnusableError(f"there is no envs/{REQUIREMENTS}", where=self.settings.project, hint=hint)
        build = [self.settings.torch_backend] if self.settings.torch_backend else []
        folder = f"{self._root}/env/{'-'.join([sha256(pins / REQUIREMENTS)[:16], *build])}"
        self.connection.send([(pins, REQUIREMENTS), (pins, UV_REQUIREMENTS)], f"{folder}-pins")
        given = (f"{folder}-pins/{file}" for file in (REQUIREMENTS, UV_REQUIREMENTS))
        found = self.connection.run(f"exec sh -c {shlex.quote(FIND_PYTHON)}").strip()
        python = found or CANDIDATES[0]
        argv = [python, f"{self._tools}/environment.py", *given, folder, *build]
        installer = self._start(f"{self.mirror}/.environment", argv, python=python)
        try:
            return str(installer.ask({}, ENVIRONMENT_S)["python"])
        except DiedError as death:
            reason = cause(installer.last_errors(), str(death), besides=("exit code", "hint:"))
            hint = "Log in and look, or name an interpreter that has all packages with `warm-remote-python`"
            what = f"cannot make the environment there ({reason})"
            raise UnusableError(what, where=self.machine.name, hint=hint) from None
        finally:
            installer.close(10)

    def _start(self, folder: str, argv: Sequence[str], *, python: str) -> WorkerConnection:
        """Start a program there, under a guard that ``python`` runs."""
        return WorkerConnection(
            self.connection,
            f"exec {shlex.join([python, f'{self._tools}/guard.py'])}",
            argv,
            cwd=folder,
            environment={**dict(self.connection.address.environment), **self.settings.environment},
            lease_s=self.settings.lease_s,
            stop=self.machine.stop_command,
        )

    def start_worker(self, folder: str, lanes: int) -> WorkerConnection:
        """Start a worker there, which runs ``lanes`` jobs at once."""
        argv = [self._python, f"{self._tools}/{SERVE.name}", "--lanes", str(lanes)]
        return self._start(folder, argv, python=self._python)

    def copy_scripts(self, scripts: Path) -> str:
        """Copy a folder of scripts there, unless it is there, and return its path there."""
        if scripts not in self._scripts:
            folder = self._copy(list(sources.files_of(scripts)))
            self._scripts[scripts] = f"{folder}/{scripts.name}"
        return self._scripts[scripts]

    def fetch_models(self, request: dict[str, Any]) -> None:
        """Download the models of a job there: jobs never ask the hub themselves.

        Raises:
            UserError: a model cannot be downloaded; the message names the ways out.
            DiedError: the worker that downloads died.
        """
        script = Path(request["script"]).with_name("check_models.py")
        for kind, model in hub_models(request, self.settings.project):
            if model in self._models or not script.is_file():
                continue
            worker = self.start_worker(f"{self.mirror}/.models", 1)
            try:
                there = f"{self.copy_scripts(script.parent)}/{script.name}"
                reply = worker.ask(model_request(there, kind, model), MODELS_S)
            finally:
                worker.close(10)
            if reply["code"]:
                raise UserError(reply["error"], where=self.machine.name, hint="Nothing was lost")
            self._models.add(model)
