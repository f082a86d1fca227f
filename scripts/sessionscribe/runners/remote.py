"""A worker on another machine: everything that a job needs is brought there, what it made is brought home."""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sessionscribe.core.errors import UserError
from sessionscribe.runners.connection import Connection
from sessionscribe.runners.errors import DiedError, DisconnectedError, RequeuedError, UnusableError
from sessionscribe.runners.job_bundle import (
    InputFile,
    InputResolver,
    JobBundle,
    contents_of,
    intact,
    put_in_place,
)
from sessionscribe.runners.machine import Machine, Settings
from sessionscribe.runners.remote_workspace import RemoteWorkspace
from sessionscribe.runners.request import notes_for, on_device, paths_of, session_of
from sessionscribe.runners.usage_log import Entry
from sessionscribe.runners.worker_connection import WorkerConnection

SPARE_S = 60.0
"""A machine that is taken away so soon gets no job any more; nor one within twice the longest job so far."""
THREADS, MOST_THREADS = "cpus_per_task", 4


class RemoteWorker:
    """A worker on a machine, for one connection; it connects at its first job.

    Args:
        machine: where; it is stopped by ``close``, not when the connection is lost.
        settings: how.
    """

    def __init__(self, machine: Machine, settings: Settings) -> None:
        self.machine, self.settings = machine, settings
        self._staging = Path(tempfile.mkdtemp(dir=settings.staging))
        self._resolver = InputResolver(settings.project, self._staging)
        self._entry = Entry(machine.name)
        self._connection: Connection | None = None
        self._workspace: RemoteWorkspace | None = None
        self._channel: WorkerConnection | None = None
        self._sent: dict[str, str] = {}
        self._connecting, self._packing = threading.Lock(), threading.Lock()
        self._closing, self._closed = threading.Lock(), False
        self._lanes = threading.Semaphore(settings.lanes)
        self._over = threading.Event()
        self._longest_s, self._asked, self._retired = 0.0, False, False

    @property
    def alive(self) -> bool:
        """Whether it can take a job: it is not connected yet or still is, and there is time for one more."""
        if self._over.is_set() or (self._channel is not None and not self._channel.alive):
            return False
        if self.machine.seconds_left() < SPARE_S + 2 * self._longest_s:
            self._retired = True
        return not self._retired

    def run(self, request: dict[str, Any], give_back: Callable[[], bool]) -> dict[str, Any]:
        """Have a request run there, bring home what it made, and return the worker's reply.

        Args:
            request: what a worker is told (docs/warm.md).
            give_back: asked while the job waits for its turn, whether another worker would be free for it.

        Raises:
            RequeuedError: it said yes.
            DisconnectedError: the connection was lost, and with it the job.
            DiedError: the worker died, and the job with it.
            UnusableError: the machine will not do.
            UserError: the job's own files are at fault.
        """
        try:
            return self._run(request, give_back)
        except (OSError, ValueError) as error:
            if self._over.is_set():  # another thread has closed what this one used
                raise DisconnectedError(f"{self.machine.name} was let go") from error
            raise

    def _run(self, request: dict[str, Any], give_back: Callable[[], bool]) -> dict[str, Any]:
        workspace, channel = self._connect()
        bundle = self._deliver(workspace, request)
        while not self._lanes.acquire(timeout=0.1):
            if give_back():
                raise RequeuedError
        try:
            with self._entry.busy():
                reply = self._ask(workspace, channel, bundle)
        except DiedError as death:
            self._save_log(workspace, request, death)
            raise
        finally:
            self._lanes.release()
        self._bring_home(workspace, reply, bundle.request)
        if not reply["code"]:
            self._count(request, reply)
        return reply

    def _resources(self, request: dict[str, Any]) -> list[list[Any]]:
        """Return a job's resources, with as many threads as the engines would have if that were home."""
        assert self._channel is not None
        cores = min(MOST_THREADS, self._channel.about["cores"] or 1)
        return [[name, cores if name == THREADS else value] for name, value in request["resources"]]

    def _count(self, request: dict[str, Any], reply: dict[str, Any]) -> None:
        audio_s = 0.0
        with suppress(OSError, ValueError):
            audio_s = json.loads((self.settings.project / notes_for(request)[-1]).read_bytes())["audio_s"]
        self._entry.finished(session_of(request), request["rule"], reply["usage"]["wall_s"], audio_s)
        self._longest_s = max(self._longest_s, reply["usage"]["wall_s"])

    def _connect(self) -> tuple[RemoteWorkspace, WorkerConnection]:
        with self._connecting:
            if self._over.is_set():
                raise DisconnectedError(f"{self.machine.name} was let go")
            if self._workspace is None or self._channel is None:
                try:
                    self._workspace, self._channel = self._bring_up()
                except BaseException:
                    self._over.set()  # those who wait for the lock need not try
                    raise
            return self._workspace, self._channel

    def _bring_up(self) -> tuple[RemoteWorkspace, WorkerConnection]:
        self._asked = True  # from now on it costs something, also if it cannot be reached
        address = self.machine.start()
        self._entry.machine = address.sort
        if self._over.is_set():  # meanwhile; whoever let go of it may have come too early to stop it
            self.machine.stop()
            raise DisconnectedError(f"{self.machine.name} was let go")
        connection = Connection(self.machine.name, address, alive_s=self.settings.lease_s / 2)
        self._connection = connection
        connection.open()
        if self._over.is_set():
            connection.close()
            raise DisconnectedError(f"{self.machine.name} was let go")
        workspace = RemoteWorkspace(self.machine, self.settings, connection)
        return workspace, workspace.start_worker(workspace.mirror, self.settings.lanes)

    def _deliver(self, workspace: RemoteWorkspace, request: dict[str, Any]) -> JobBundle:
        """Bring there what a job reads and is not there yet."""
        with self._packing:  # one upload at a time
            workspace.fetch_models(request)
            bundle = self._resolver.pack(request)
            self._send(workspace, bundle.pieces)
            script = f"{workspace.ship(Path(request['script']).parent)}/{Path(request['script']).name}"
        bundle.request |= {
            "script": script,
            "resources": self._resources(request),
            "params": on_device(workspace.connection.address.device, bundle.request["params"]),
        }
        return bundle

    def _send(self, workspace: RemoteWorkspace, pieces: Sequence[InputFile]) -> None:
        missing = [piece for piece in pieces if self._sent.get(piece.name) != piece.sha256]
        if missing:
            self._resolver.provide(missing)
            workspace.connection.send([(piece.root, piece.name) for piece in missing], workspace.mirror)
            self._sent |= {piece.name: piece.sha256 for piece in missing}
        self._resolver.discard(pieces)

    def _ask(
        self, workspace: RemoteWorkspace, channel: WorkerConnection, bundle: JobBundle
    ) -> dict[str, Any]:
        limit_s = bundle.limit_s(self.settings.per_audio_second)
        reply = channel.ask(bundle.request, limit_s)
        if spoilt := reply.get("spoilt"):
            # Somebody or something changed them there; the times may be the same, so they are removed first.
            with self._packing:
                paths = (shlex.quote(f"{workspace.mirror}/{name}") for name in spoilt)
                workspace.connection.run(f"rm -rf {' '.join(paths)}")
                for name in spoilt:
                    self._sent.pop(name, None)
                self._send(workspace, bundle.pieces)
            reply = channel.ask(bundle.request, limit_s)
            if reply.get("spoilt"):
                what = f"{len(reply['spoilt'])} files changed after they were sent ({reply['spoilt'][0]})"
                raise UnusableError(what, where=self.machine.name, hint="Check the disk of that machine")
        return reply

    def _bring_home(self, workspace: RemoteWorkspace, reply: dict[str, Any], request: dict[str, Any]) -> None:
        """Put what a job made in place; what the reply does not hold, or not as it was made, is fetched."""
        made, here = reply["made"], contents_of(reply)
        into = self._staging / f"home-{reply['id']}"
        for _ in range(2):
            if missing := [name for name in made if name not in here]:
                workspace.connection.fetch(missing, workspace.mirror, into)
                here |= intact({name: (into / name).read_bytes() for name in missing}, made)
                shutil.rmtree(into)
        if missing := [name for name in made if name not in here]:
            what, hint = f"{missing[0]} does not arrive intact", "Check the disks on both sides"
            raise UserError(what, where=self.machine.name, hint=hint)
        put_in_place(self.settings.project, request, here)
        self._sent |= made

    def _save_log(self, workspace: RemoteWorkspace, request: Mapping[str, Any], death: DiedError) -> None:
        """Bring home what a worker that died had written to its job's log, and why that ends there."""
        for log in paths_of(request["log"])[:1]:
            with suppress(OSError, UserError, DisconnectedError):
                workspace.connection.fetch([log], workspace.mirror, self.settings.project)
            with suppress(OSError), (self.settings.project / log).open("a", encoding="utf-8") as file:
                print(f"{self.machine.name}: the worker {death}", file=file)

    def lose(self) -> None:
        """Let go of the connection, which is lost or of no use; the machine stays as it is."""
        self._let_go(0.0)

    def close(self, seconds: float) -> None:
        """Let worker and guard end within so long, cut the connection, and stop the machine if it is ours."""
        try:
            self._let_go(seconds)
        finally:
            self.machine.stop()

    def _let_go(self, seconds: float) -> None:
        self._over.set()
        with self._closing:
            if self._closed:
                return
            self._closed = True
        if self._channel is not None:
            self._channel.end()
            self._channel.wait(seconds or 1.0)
        if self._connection is not None:
            self._connection.close()
        if self._asked:
            about = self._channel.about if self._channel else {}
            ends = [end for end in (self._connection, self._channel) if end is not None]
            moved = sum(end.sent for end in ends), sum(end.received for end in ends)
            self._entry.close(self.settings.project, about, *moved)
        shutil.rmtree(self._staging, ignore_errors=True)
