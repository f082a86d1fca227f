"""A worker on another machine: everything that a job needs is brought there, what it made is brought home."""

from __future__ import annotations

import errno
import hashlib
import json
import platform
import shlex
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sessionscribe.errors import UserError
from sessionscribe.files import atomic_path, sha256
from sessionscribe.runners import sources
from sessionscribe.runners.channel import Channel, Watch
from sessionscribe.runners.connection import Connection, RemoteError
from sessionscribe.runners.errors import GivenBackError, LostError, UnusableError
from sessionscribe.runners.ledger import LEDGER, Entry
from sessionscribe.runners.machine import Machine
from sessionscribe.runners.parcel import Checksums, Packer, Parcel, Piece, hub_models
from sessionscribe.runtime import notes_of

HERE = Path(__file__).parent
REQUIREMENTS, UV_REQUIREMENTS = "requirements.txt", "uv.txt"
THREADS, MOST_THREADS = "cpus_per_task", 4
KEPT_DAYS = 30
"""After so long without use, what lies in our folder on a machine is removed."""
MODELS_S = 7200.0
"""How long a machine may take to fetch a model from the hub."""
OVERHEAD_S = 900.0
"""What a job may take beside its work: the models are loaded, a GPU wakes up."""


@dataclass(frozen=True)
class Settings:
    """How machines are used; the same for all of a run.

    Attributes:
        project: the folder that jobs' paths are relative to.
        staging: a folder for what is on its way; on the project's file system, so that files can be renamed.
        serve: the worker program.
        folder: our folder on a machine, relative to the home folder there.
        python: an interpreter there in whose environment everything is; "" to make one.
        environment: variables for workers: secrets, which are written nowhere.
        lanes: jobs at once in one worker.
        lease_s: without a sign of life from home for so long, the guard ends the worker.
        alive_s: without an answer from the machine for so long, the connection is lost.
        per_audio_second: seconds that a job may take for a second of audio, beside ``OVERHEAD_S``.
    """

    project: Path
    staging: Path
    serve: Path
    folder: str = ".cache/sessionscribe"
    python: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    lanes: int = 1
    lease_s: float = 60.0
    alive_s: float = 30.0
    per_audio_second: float = 10.0


class RemoteWorker:
    """A worker on a machine, for one connection; it connects at its first job.

    Args:
        machine: where; it is stopped with ``end`` or ``kill``, not when the connection is lost.
        settings: how.
        checksums: what is known of files here.
    """

    def __init__(self, machine: Machine, settings: Settings, checksums: Checksums) -> None:
        self.machine, self.settings = machine, settings
        self._staging = Path(tempfile.mkdtemp(dir=settings.staging))
        self._packer = Packer(settings.project, self._staging, checksums)
        self._entry = Entry(machine.name)
        self._connection: Connection | None = None
        self._channel: Channel | None = None
        self._sent: dict[str, str] = {}
        self._folders: dict[Path, str] = {}
        self._models: set[str] = set()
        self._connecting, self._packing = threading.Lock(), threading.RLock()
        self._closing, self._closed = threading.Lock(), False
        self._lanes = threading.Semaphore(settings.lanes)
        self._over = threading.Event()

    @property
    def alive(self) -> bool:
        """Whether it can take a job: it has not connected yet, or still is."""
        return not self._over.is_set() and (self._channel is None or self._channel.alive)

    def run(self, request: dict[str, Any], give_back: Callable[[], bool]) -> dict[str, Any]:
        """Have a request run there, bring home what it made, and return the worker's reply.

        Args:
            request: what a worker is told (docs/warm.md).
            give_back: asked while the job waits for its turn, whether another worker would be free for it.

        Raises:
            GivenBackError: it said yes.
            LostError: the connection was lost, and with it the job.
            DiedError: the worker died, and the job with it.
            UnusableError: the machine will not do.
            UserError: the job's own files are at fault.
        """
        try:
            return self._run(request, give_back)
        except (OSError, ValueError) as error:
            if self._over.is_set():  # another thread has closed what this one used
                raise LostError(f"{self.machine.name} was let go") from error
            raise

    def _run(self, request: dict[str, Any], give_back: Callable[[], bool]) -> dict[str, Any]:
        notes = [path.as_posix() for path in notes_of(request["rule"], _task(request), _log(request))]
        self._connect()
        parcel = self._deliver(request)
        parcel.request |= {
            "resources": self._resources(request),
            "script": f"{self._scripts(request)}/{Path(request['script']).name}",
            "files": {piece.name: piece.sha256 for piece in parcel.pieces},
            # In this order they get their names at home: a job's record, which says it is done, comes last.
            "returns": [*_paths(request["log"]), *notes, *_paths(request["output"])],
        }
        while not self._lanes.acquire(timeout=0.1):
            if give_back():
                raise GivenBackError
        try:
            with self._entry.busy():
                reply = self._ask(parcel)
        finally:
            self._lanes.release()
        self._bring_home(reply, parcel.request["returns"])
        for note in notes:
            if note not in reply["made"]:
                (self.settings.project / note).unlink(missing_ok=True)
        if reply["ok"]:
            self._count(request, reply, Path(notes[-1]))
        return reply

    def _resources(self, request: dict[str, Any]) -> list[list[Any]]:
        """Return a job's resources, with as many threads for the engines as it would have at home there."""
        assert self._channel is not None
        cores = max(1, min(MOST_THREADS, int(self._channel.about["cores"] or 1) // self.settings.lanes))
        return [[name, cores if name == THREADS else value] for name, value in request["resources"]]

    def _count(self, request: dict[str, Any], reply: dict[str, Any], usage: Path) -> None:
        audio_s = 0.0
        with suppress(OSError, ValueError):
            audio_s = json.loads((self.settings.project / usage).read_bytes())["audio_s"]
        session = str(_task(request).get("session", ""))
        self._entry.finished(session, request["rule"], reply["usage"]["wall_s"], audio_s)

    def _connect(self) -> None:
        with self._connecting:
            if self._over.is_set():
                raise LostError(f"{self.machine.name} was let go")
            if self._channel is None:
                try:
                    self._bring_up()
                except BaseException:
                    self._over.set()  # those who wait for the lock need not try
                    raise

    def _bring_up(self) -> None:
        """Start the machine, connect, bring the tools and the environment, and start the worker."""
        address = self.machine.start()
        connection = Connection(self.machine.name, address, alive_s=self.settings.alive_s)
        self._connection = connection
        if self._over.is_set():  # while it started
            raise LostError(f"{self.machine.name} was let go")
        connection.open()
        self._root = self._prepare_folder(connection)
        self._tools = sources.ship(connection, self._root, self._bundle_tools())
        self._python = self.settings.python or self._environment(connection)
        self._channel = self._start(self._mirror, self.settings.lanes)

    def _prepare_folder(self, connection: Connection) -> str:
        """Return our folder there, absolute; what lay in it unused for long is removed."""
        folder = shlex.quote(self.settings.folder)
        make = f"cd && mkdir -p {folder} && chmod 700 {folder} && cd {folder} && mkdir -p src work env"
        clear = f"find src work env -mindepth 1 -maxdepth 1 -mtime +{KEPT_DAYS} -exec rm -rf {{}} +"
        command = f"exec sh -c {shlex.quote(f'{make} || exit 1; {clear}; pwd -P')}"
        try:
            root = connection.run(command, timeout_s=300).strip()
        except RemoteError as error:
            hint = "Name another folder with `warm-remote-dir`"
            raise UnusableError(
                f"no folder can be made there ({error})", where=self.machine.name, hint=hint
            ) from None
        project = f"{platform.node()}:{self.settings.project}:{self.machine.name}"
        self._mirror = f"{root}/work/{hashlib.sha256(project.encode()).hexdigest()[:16]}"
        return root

    def _bundle_tools(self) -> sources.Bundle:
        serve = self.settings.serve
        return sources.bundle([(HERE, "guard.py"), (HERE, "environment.py"), (serve.parent, serve.name)])

    def _environment(self, connection: Connection) -> str:
        """Return the interpreter of the environment there; make it if the requirements changed."""
        pins = self.settings.project / "envs"
        if not (pins / REQUIREMENTS).is_file():
            hint = "Name an interpreter with everything installed: `warm-remote-python`"
            raise UnusableError(f"there is no envs/{REQUIREMENTS}", where=self.settings.project, hint=hint)
        name = sha256(pins / REQUIREMENTS)[:16]
        folder = f"{self._root}/env/{name}"
        connection.send([(pins, REQUIREMENTS), (pins, UV_REQUIREMENTS)], f"{self._root}/env/{name}-pins")
        given = (f"{self._root}/env/{name}-pins/{file}" for file in (REQUIREMENTS, UV_REQUIREMENTS))
        command = shlex.join(["python3", f"{self._tools}/environment.py", *given, folder])
        try:
            return connection.run(f"exec {command}", timeout_s=3600).strip().splitlines()[-1]
        except RemoteError as error:
            reason = str(error).strip().splitlines()
            hint = "Log in and look, or name a ready interpreter with `warm-remote-python`"
            what = f"the environment cannot be made there ({reason[-1] if reason else 'no reason given'})"
            raise UnusableError(what, where=self.machine.name, hint=hint) from None

    def _start(self, folder: str, lanes: int) -> Channel:
        assert self._connection is not None
        watch = Watch(lease_s=self.settings.lease_s, stop=self.machine.stop_command)
        return Channel(
            self._connection,
            f"exec {shlex.join([self._python, f'{self._tools}/guard.py'])}",
            [self._python, f"{self._tools}/{self.settings.serve.name}", "--lanes", str(lanes)],
            cwd=folder,
            environment=self.settings.environment,
            watch=watch,
        )

    def _deliver(self, request: dict[str, Any]) -> Parcel:
        """Bring there what a job reads and is not there yet."""
        assert self._connection is not None
        with self._packing:  # one upload at a time
            self._bring_models(request)
            parcel = self._packer.pack(request)
            self._send(parcel.pieces)
        return parcel

    def _send(self, pieces: Sequence[Piece]) -> None:
        assert self._connection is not None
        missing = [piece for piece in pieces if self._sent.get(piece.name) != piece.sha256]
        if missing:
            self._packer.provide(missing)
            self._connection.send([(piece.root, piece.name) for piece in missing], self._mirror)
            self._sent |= {piece.name: piece.sha256 for piece in missing}
        self._packer.discard(pieces)

    def _scripts(self, request: dict[str, Any]) -> str:
        """Return the folder there of the scripts of a request's rule."""
        folder = Path(request["script"]).parent
        with self._packing:
            if folder not in self._folders:
                assert self._connection is not None
                bundle = sources.bundle(list(sources.files_of(folder)))
                self._folders[folder] = f"{sources.ship(self._connection, self._root, bundle)}/{folder.name}"
            return self._folders[folder]

    def _bring_models(self, request: dict[str, Any]) -> None:
        """Let the machine fetch models from the hub before a job needs them: jobs never ask it themselves."""
        script = Path(request["script"]).with_name("check_models.py")
        for kind, model in hub_models(request, self.settings.project):
            if model in self._models or not script.is_file():
                continue
            channel = self._start(f"{self._mirror}/.models", 1)
            task = {"speech": [], "diarization": [], kind: [model]}
            try:
                reply = channel.ask(
                    {
                        "resources": self._resources(request),
                        "script": f"{self._scripts(request)}/{script.name}",
                        "rule": script.stem,
                        "threads": 1,
                        "params": [["task", task]],
                        "output": [["report", "models.txt"]],
                        "log": [[None, "models.log"]],
                        **{name: [] for name in ("input", "wildcards", "resources")},
                    },
                    MODELS_S,
                )
            finally:
                channel.end()
                channel.wait(10)
            if not reply["ok"]:
                raise UserError(reply["error"], where=self.machine.name, hint="Nothing was lost; run again")
            self._models.add(model)

    def _ask(self, parcel: Parcel) -> dict[str, Any]:
        assert self._channel is not None
        limit_s = OVERHEAD_S + self.settings.per_audio_second * parcel.heard_s
        reply = self._channel.ask(parcel.request, limit_s)
        if spoilt := reply.get("spoilt"):
            # Somebody or something changed them there; the times may be the same, so they are removed first.
            with self._packing:
                assert self._connection is not None
                paths = (shlex.quote(f"{self._mirror}/{name}") for name in spoilt)
                self._connection.run(f"rm -rf {' '.join(paths)}")
                for name in spoilt:
                    self._sent.pop(name, None)
                self._send(parcel.pieces)
            reply = self._channel.ask(parcel.request, limit_s)
            if reply.get("spoilt"):
                what = f"{len(reply['spoilt'])} files are not there as they were sent ({reply['spoilt'][0]})"
                raise UnusableError(what, where=self.machine.name, hint="Look at the disk of that machine")
        return reply

    def _bring_home(self, reply: dict[str, Any], returns: Sequence[str]) -> None:
        """Fetch what a job made, check it, and give it its name; what ``returns`` names last comes last."""
        assert self._connection is not None
        made: dict[str, str] = reply["made"]
        if not made:
            return
        into = self._staging / f"home-{reply['id']}"
        for last_try in (False, True):
            self._connection.fetch(list(made), self._mirror, into)
            broken = [name for name, checksum in made.items() if sha256(into / name) != checksum]
            if not broken:
                break
            if last_try:
                hint = "Run again; if it comes again, look at the disks on both sides"
                raise UserError(
                    f"{broken[0]} does not arrive as it was made", where=self.machine.name, hint=hint
                )
            for name in broken:
                (into / name).unlink()
        for name in returns:
            if name in made:
                _place(into / name, self.settings.project / name)
                self._sent[name] = made[name]
        shutil.rmtree(into, ignore_errors=True)

    def lose(self) -> None:
        """Let go of the connection, which is lost or of no use; the machine stays as it is."""
        self._close(grace_s=0.0)

    def end(self) -> None:
        """Take no more jobs, and let worker and guard end."""
        self._over.set()
        if self._channel is not None:
            self._channel.end()

    def wait(self, seconds: float) -> None:
        """Wait until worker and guard are gone, cut the connection, and stop the machine if it is ours."""
        self._close(grace_s=seconds)
        self.machine.stop()

    def kill(self) -> None:
        """End the worker in the middle of its jobs, cut the connection, stop the machine if it is ours."""
        self._close(grace_s=0.0)
        self.machine.stop()

    def _close(self, grace_s: float) -> None:
        self._over.set()
        with self._closing:
            if self._closed:
                return
            self._closed = True
        if self._channel is not None:
            self._channel.end()
            self._channel.wait(grace_s or 1.0)
        if self._connection is not None:
            self._connection.close()
            about = self._channel.about if self._channel else {}
            file = self.settings.project / LEDGER
            self._entry.close(file, about, self._connection.sent, self._connection.received)
        shutil.rmtree(self._staging, ignore_errors=True)


def _task(request: Mapping[str, Any]) -> dict[str, Any]:
    return next(
        (value for name, value in request["params"] if name == "task" and isinstance(value, dict)), {}
    )


def _paths(named: Sequence[Sequence[Any]]) -> list[str]:
    return [path for _, value in named for path in (value if isinstance(value, list) else [value])]


def _log(request: Mapping[str, Any]) -> str:
    return next(iter(_paths(request["log"])), "")


def _place(arrived: Path, path: Path) -> None:
    """Give a file that has arrived its name, at once and whole."""
    with atomic_path(path) as temporary:
        try:
            arrived.replace(temporary)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            shutil.copyfile(arrived, temporary)
