"""A worker on another machine: a job's inputs are sent there, and its outputs are fetched."""

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
"""No job begins on a machine that has less time left than this and twice the longest job so far."""
THREADS, MOST_THREADS = "cpus_per_task", 4


class RemoteWorker:
    """A worker on a machine, for the length of one connection, which its first job makes.

    Args:
        machine: the machine. ``close`` stops it; it goes on if the connection is lost.
        settings: how the run uses machines.
    """

    def __init__(self, machine: Machine, settings: Settings) -> None:
        self.machine, self.settings = machine, settings
        self._staging = Path(tempfile.mkdtemp(dir=settings.staging))
        self._resolver = InputResolver(settings.project, self._staging)
        self._entry = Entry(machine.name)
        self._connection: Connection | None = None
        self._workspace: RemoteWorkspace | None = None
        self._worker: WorkerConnection | None = None
        self._sent: dict[str, str] = {}
        self._connecting, self._packing = threading.Lock(), threading.Lock()
        self._closing, self._closed = threading.Lock(), False
        self._lanes = threading.Semaphore(settings.lanes)
        self._over = threading.Event()
        self._longest_s, self._requested, self._retired = 0.0, False, False

    @property
    def alive(self) -> bool:
        """Whether it can take a job: it is connected, or not yet, and there is time for one more."""
        if self._over.is_set() or (self._worker is not None and not self._worker.alive):
            return False
        if self.machine.seconds_left() < SPARE_S + 2 * self._longest_s:
            self._retired = True
        return not self._retired

    def run(self, request: dict[str, Any], give_back: Callable[[], bool]) -> dict[str, Any]:
        """Run a job there, fetch its outputs, and return the worker's reply.

        Args:
            request: the job (docs/warm.md).
            give_back: called while the job waits there; returns whether another worker is free for it.

        Raises:
            RequeuedError: another worker is free.
            DisconnectedError: the connection was lost.
            DiedError: the worker died.
            UnusableError: the machine cannot be used.
            UserError: the job's own files are at fault.
        """
        try:
            return self._run(request, give_back)
        except (OSError, ValueError) as error:
            if self._over.is_set():  # another thread has closed what this one used
                raise self._released() from error
            raise

    def _released(self) -> DisconnectedError:
        return DisconnectedError(f"{self.machine.name} was released")

    def _run(self, request: dict[str, Any], give_back: Callable[[], bool]) -> dict[str, Any]:
        workspace, worker = self._connect()
        bundle = self._deliver(workspace, worker, request)
        while not self._lanes.acquire(timeout=0.1):
            if give_back():
                raise RequeuedError
        try:
            with self._entry.busy():
                reply = self._ask(workspace, worker, bundle)
        except DiedError as death:
            self._save_log(workspace, request, death)
            raise
        finally:
            self._lanes.release()
        self._fetch(workspace, reply, bundle.request)
        if not reply["code"]:
            self._count(request, reply)
        return reply

    def _count(self, request: dict[str, Any], reply: dict[str, Any]) -> None:
        audio_s = 0.0
        with suppress(OSError, ValueError):
            audio_s = json.loads((self.settings.project / notes_for(request)[-1]).read_bytes())["audio_s"]
        self._entry.finished(session_of(request), request["rule"], reply["usage"]["wall_s"], audio_s)
        self._longest_s = max(self._longest_s, reply["usage"]["wall_s"])

    def _connect(self) -> tuple[RemoteWorkspace, WorkerConnection]:
        with self._connecting:
            if self._over.is_set():
                raise self._released()
            if self._workspace is None or self._worker is None:
                try:
                    self._workspace, self._worker = self._bring_up()
                except BaseException:
                    self._over.set()  # jobs that wait for the lock need not try
                    raise
            return self._workspace, self._worker

    def _bring_up(self) -> tuple[RemoteWorkspace, WorkerConnection]:
        self._requested = True  # from now on it may cost something, even if it cannot be reached
        address = self.machine.start()
        self._entry.machine = address.machine_type
        if self._over.is_set():  # `close` may have come too early to stop the machine
            self.machine.stop()
            raise self._released()
        self._connection = Connection(self.machine.name, address, alive_s=self.settings.lease_s / 2)
        self._connection.open()
        if self._over.is_set():
            self._connection.close()
            raise self._released()
        workspace = RemoteWorkspace(self.machine, self.settings, self._connection)
        return workspace, workspace.start_worker(workspace.mirror, self.settings.lanes)

    def _deliver(
        self, workspace: RemoteWorkspace, worker: WorkerConnection, request: dict[str, Any]
    ) -> JobBundle:
        """Send the inputs of a job that are not there yet; return the job with the paths there."""
        with self._packing:  # one upload at a time
            workspace.fetch_models(request)
            bundle = self._resolver.pack(request)
            self._send(workspace, bundle.pieces)
            scripts = workspace.copy_scripts(Path(request["script"]).parent)
        # As many threads as the engines would use if that machine were this one.
        cores = min(MOST_THREADS, worker.about["cores"] or 1)
        bundle.request |= {
            "script": f"{scripts}/{Path(request['script']).name}",
            "resources": [[key, cores if key == THREADS else value] for key, value in request["resources"]],
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

    def _ask(self, workspace: RemoteWorkspace, worker: WorkerConnection, bundle: JobBundle) -> dict[str, Any]:
        limit_s = bundle.limit_s(self.settings.per_audio_second)
        reply = worker.ask(bundle.request, limit_s)
        if spoilt := reply.get("spoilt"):
            # Changed there, but perhaps with the same size and time, so that rsync would not send them again.
            with self._packing:
                paths = (shlex.quote(f"{workspace.mirror}/{name}") for name in spoilt)
                workspace.connection.run(f"rm -rf {' '.join(paths)}")
                for name in spoilt:
                    self._sent.pop(name, None)
                self._send(workspace, bundle.pieces)
            reply = worker.ask(bundle.request, limit_s)
            if reply.get("spoilt"):
                what = f"{len(reply['spoilt'])} files changed after they were sent ({reply['spoilt'][0]})"
                raise UnusableError(what, where=self.machine.name, hint="Check the disk of that machine")
        return reply

    def _fetch(self, workspace: RemoteWorkspace, reply: dict[str, Any], request: dict[str, Any]) -> None:
        """Put a job's outputs in place; those that the reply does not contain intact are fetched."""
        made, here = reply["made"], contents_of(reply)
        into = self._staging / f"home-{reply['id']}"
        for _ in range(2):
            if missing := [name for name in made if name not in here]:
                workspace.connection.fetch(missing, workspace.mirror, into)
                here |= intact({name: (into / name).read_bytes() for name in missing}, made)
                shutil.rmtree(into)
        if missing := [name for name in made if name not in here]:
            what, hint = f"{missing[0]} did not arrive intact", "Check the disks on both sides"
            raise UserError(what, where=self.machine.name, hint=hint)
        put_in_place(self.settings.project, request, here)
        self._sent |= made

    def _save_log(self, workspace: RemoteWorkspace, request: Mapping[str, Any], death: DiedError) -> None:
        """Fetch the log of a job whose worker died, and add how it died."""
        for log in paths_of(request["log"])[:1]:
            with suppress(OSError, UserError, DisconnectedError):
                workspace.connection.fetch([log], workspace.mirror, self.settings.project)
            with suppress(OSError), (self.settings.project / log).open("a", encoding="utf-8") as file:
                print(f"{self.machine.name}: the worker {death}", file=file)

    def lose(self) -> None:
        """Drop the connection, which is lost or of no use; the machine goes on."""
        self._drop(1.0)

    def close(self, seconds: float) -> None:
        """Let the worker end within a time, cut the connection, and stop the machine if we started it."""
        try:
            self._drop(seconds or 1.0)
        finally:
            self.machine.stop()

    def _drop(self, seconds: float) -> None:
        self._over.set()
        with self._closing:
            if self._closed:
                return
            self._closed = True
        if self._worker is not None:
            self._worker.close(seconds)
        if self._connection is not None:
            self._connection.close()
        if self._requested:
            about = self._worker.about if self._worker else {}
            ends = [end for end in (self._connection, self._worker) if end is not None]
            moved = sum(end.sent for end in ends), sum(end.received for end in ends)
            self._entry.close(self.settings.project, about, *moved)
        shutil.rmtree(self._staging, ignore_errors=True)
