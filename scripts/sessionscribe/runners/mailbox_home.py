"""The home side of a mailbox: a worker whose jobs are run by whoever takes them out of the mailbox.

Those machines need not be reachable and may disappear at any moment; then another one takes their jobs.
"""

from __future__ import annotations

import platform
import shutil
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.fingerprint import fingerprint
from sessionscribe.runners import sources
from sessionscribe.runners.errors import DiedError, DisconnectedError, RequeuedError
from sessionscribe.runners.job_bundle import (
    InputFile,
    InputResolver,
    Request,
    contents_of,
    hub_models,
    put_in_place,
)
from sessionscribe.runners.machine import Settings
from sessionscribe.runners.mailbox import (
    DIGEST,
    POLL_S,
    SLOWEST_POLL_S,
    UNREACHABLE_S,
    Heartbeat,
    Mailbox,
    Observer,
    file_of,
    workers_by_job,
)
from sessionscribe.storage.rclone import RcloneError

TRIES = 3
NOBODY_S = 60.0
"""After this time without any worker, the user is told how to start one."""
T = TypeVar("T")


class MailboxWorker:
    """All workers at a mailbox, as seen from home."""

    def __init__(self, place: str, settings: Settings) -> None:
        self._mailbox, self._project, self._say = Mailbox(place), settings.project, settings.say
        self._per_audio_second = settings.per_audio_second
        self._staging = Path(tempfile.mkdtemp(dir=settings.staging))
        self._resolver = InputResolver(self._project, self._staging)
        self._home = fingerprint(platform.node(), uuid.getnode(), str(self._project))
        self._heartbeat = Heartbeat(self._mailbox, f"homes/{self._home}")
        self._numbers, self._packing, self._over = count(time.time_ns()), threading.Lock(), threading.Event()
        self._names, self._listed = dict[str, int](), threading.Condition()
        self._reached, self._sent = time.monotonic(), set[str]()
        self._archives: dict[Path, InputFile] = {}
        self._poller: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        """Whether it takes jobs."""
        return not self._over.is_set()

    def run(self, request: dict[str, Any], give_back: Callable[[], bool]) -> dict[str, Any]:
        """Put a request into the mailbox, wait for the result, put its files in place, and return the reply.

        Raises:
            RequeuedError: another worker is free for the job, and nobody has taken it here.
            DisconnectedError: the mailbox is unreachable, or this worker was closed.
            DiedError: those who took the job did not answer.
            UserError: the job's own files are at fault.
        """
        self._begin()
        with self._packing:
            bundle = self._resolver.pack(request)
            self._send(bundle.pieces)
            scripts = self._send_scripts(Path(request["script"]).parent)
            self._resolver.discard(bundle.pieces)
        sent = bundle.request | {"script": Path(request["script"]).name}
        limit_s = bundle.limit_s(self._per_audio_second)
        models = hub_models(request, self._project)
        for _ in range(TRIES):
            job = f"{self._home}-{next(self._numbers)}"
            content = {"request": sent, "scripts": scripts, "models": models}
            self._retry(partial(self._mailbox.write, f"requests/{job}.json", content))
            try:
                reply = self._await(job, sent, give_back, limit_s)
            finally:
                self._clean_up(job, bundle.pieces)
            if reply is not None:
                return reply
        raise DiedError("took a job and gave no answer")

    def _send(self, pieces: Iterable[InputFile]) -> None:
        """Put files into the mailbox, unless they are there."""
        pieces = [piece for piece in pieces if piece.sha256 not in self._sent]
        self._resolver.provide(pieces)
        files = {file_of(self._home, piece.sha256): piece for piece in pieces}
        # If the size is another one, the file is incomplete.
        missing = {name: one.path for name, one in files.items() if self._names.get(name) != one.size}
        self._retry(partial(self._mailbox.put, missing))
        self._sent |= {piece.sha256 for piece in pieces}

    def _send_scripts(self, folder: Path) -> dict[str, str]:
        """Put an archive of a folder of scripts into the mailbox; return its checksum and the folder."""
        if folder not in self._archives:
            path = self._staging / f"{folder.name}.zip"
            with zipfile.ZipFile(path, "w") as archive:
                for root, name in sources.files_of(folder):
                    archive.write(root / name, name)
            self._archives[folder] = self._resolver.file(self._staging, path.name)
        self._send([self._archives[folder]])
        return {"archive": self._archives[folder].sha256, "folder": folder.name}

    def _await(
        self, job: str, request: Request, give_back: Callable[[], bool], limit_s: float
    ) -> dict[str, Any] | None:
        """Wait for a result and put it in place; return the reply, or None after the time limit."""
        taken_at: float | None = None
        while True:
            with self._listed:
                self._listed.wait(0.5)
                names = self._names
            if self._over.is_set():
                raise DisconnectedError(f"{self._mailbox.place} was closed")
            self._refuse_unreachable()
            for worker in workers_by_job(names, "results").get(job, []):
                reply = self._retry(partial(self._take, job, worker, request))
                if reply is not None:
                    return reply
            if job in workers_by_job(names, "claims"):
                taken_at = taken_at or time.monotonic()
            elif give_back():
                raise RequeuedError
            if taken_at and time.monotonic() - taken_at > limit_s:
                return None

    def _retry(self, act: Callable[[], T]) -> T:
        """Use the mailbox; repeat that while it is unreachable.

        Raises:
            DisconnectedError: it is unreachable for too long, or this worker was closed.
        """
        while True:
            try:
                return act()
            except (RcloneError, OSError):
                self._refuse_unreachable()
                if self._over.wait(POLL_S):
                    raise DisconnectedError(f"{self._mailbox.place} was closed") from None

    def _refuse_unreachable(self) -> None:
        if time.monotonic() - self._reached > UNREACHABLE_S:
            raise DisconnectedError(f"{self._mailbox.place} cannot be reached")

    def _take(self, job: str, worker: str, request: Request) -> dict[str, Any] | None:
        """Put an untrusted result in place and return the reply, or None if it is incomplete or invalid."""
        reply = self._mailbox.read(f"results/{job}/{worker}.json") or {}
        match reply:
            case {"code": int(), "made": dict(made), "contents": dict(), "usage": dict(), "error": str()}:
                reply["error"] = "\n".join(visible(line, None) for line in reply["error"].splitlines())
            case _:
                return None
        if not all(isinstance(digest, str) and DIGEST.fullmatch(digest) for digest in made.values()):
            return None
        contents = contents_of(reply)
        missing = {name: made[name] for name in request["returns"] if name in made and name not in contents}
        with tempfile.TemporaryDirectory(dir=self._staging) as folder:
            self._mailbox.get_contents(self._home, missing.values(), Path(folder))
            for name, digest in missing.items():
                if not (path := Path(folder, digest)).is_file():
                    return None
                contents[name] = path.read_bytes()
        put_in_place(self._project, request, contents)
        return reply

    def _clean_up(self, job: str, pieces: Iterable[InputFile]) -> None:
        """Remove a job's files, and the audio slices that it has read."""
        slices = {piece.sha256 for piece in pieces if piece.root == self._staging}
        self._sent -= slices
        with suppress(UserError, OSError):  # the next run does
            names = self._mailbox.names()
            mine = {file_of(self._home, digest) for digest in slices} & names.keys()
            mine |= {name for name in names if job in name.replace(".", "/").split("/")}
            self._mailbox.remove(sorted(mine))

    def _begin(self) -> None:
        """Start to poll the mailbox, and remove the jobs and heartbeats of a killed run."""
        with self._packing:
            if self._poller is not None:
                return
            self._names = self._mailbox.names()
            self._mailbox.remove(name for name in self._names if f"/{self._home}-" in name)
            self._heartbeat.end(self._names)  # if the clock was set back, they would seem to be later
            self._heartbeat.renew()
            self._poller = threading.Thread(target=self._poll, name="mailbox", daemon=True)
            self._poller.start()

    def _poll(self) -> None:
        observer, worker_seen, told, pause_s = Observer(), time.monotonic(), False, POLL_S
        while not self._over.wait(pause_s):
            try:
                self._heartbeat.renew()
                names = self._mailbox.names()
            except (UserError, OSError) as error:
                if pause_s < SLOWEST_POLL_S:
                    self._say(f"{error}. Trying again")
                pause_s = SLOWEST_POLL_S
                continue
            with self._listed:
                pause_s = POLL_S if names != self._names else min(SLOWEST_POLL_S, pause_s * 1.3)
                self._names, self._reached = names, time.monotonic()
                self._listed.notify_all()
            if any(who.startswith("workers/") for who in observer.alive(names)):
                worker_seen, told = time.monotonic(), False
            elif not told and time.monotonic() - worker_seen > NOBODY_S:
                told = True
                self._say(f"no worker at {self._mailbox.place} yet: `sessionscribe work` starts one")

    def lose(self) -> None:
        """Take no more jobs."""
        self._over.set()

    def close(self, seconds: float) -> None:
        """Remove everything that home has put into the mailbox."""
        self._over.set()
        if self._poller is not None:
            self._poller.join(seconds or 1.0)
            with suppress(UserError, OSError):
                names = self._mailbox.names()
                mine = (f"/{self._home}-", f"files/{self._home}/")
                self._mailbox.remove(name for name in names if any(mark in name for mark in mine))
                self._heartbeat.end(names)
            self._poller = None
        shutil.rmtree(self._staging, ignore_errors=True)
