"""A worker that is anywhere: its jobs lie in a mailbox, from which machines take them that only see that.

Whoever takes a job need not be reached, and may vanish at any moment: then another one takes it.
"""

from __future__ import annotations

import platform
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from sessionscribe.core.errors import UserError
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
    LivingOnes,
    Mailbox,
    SignOfLife,
    file_of,
    parts_of,
)
from sessionscribe.storage.rclone import RcloneError

UNREACHABLE_S = 600.0
"""After so long without being able to read the mailbox, jobs are given back."""
TRIES = 3
T = TypeVar("T")


class MailboxWorker:
    """Whoever works through a mailbox, seen from home.

    Args:
        place: where, as for ``Mailbox``.
        settings: how other machines are used.
    """

    def __init__(self, place: str, settings: Settings) -> None:
        self._mailbox, self._project, self._say = Mailbox(place), settings.project, settings.say
        self._per_audio_second = settings.per_audio_second
        self._staging = Path(tempfile.mkdtemp(dir=settings.staging))
        self._resolver = InputResolver(self._project, self._staging)
        self._home = fingerprint(platform.node(), uuid.getnode(), str(self._project))
        self._sign = SignOfLife(self._mailbox, f"homes/{self._home}")
        self._numbers, self._packing, self._over = count(1), threading.Lock(), threading.Event()
        self._seen, self._looked = dict[str, int](), threading.Condition()
        self._reached, self._sent = time.monotonic(), set[str]()
        self._poller: threading.Thread | None = None
        self._run_of = f"{int(time.time()):x}"

    @property
    def alive(self) -> bool:
        """Whether it takes jobs."""
        return not self._over.is_set()

    def run(self, request: dict[str, Any], give_back: Callable[[], bool]) -> dict[str, Any]:
        """Have a request run by whoever takes it, bring home what it made, and return the reply.

        Raises:
            RequeuedError: another worker is free for it, and nobody has taken it.
            DisconnectedError: the mailbox cannot be reached any more, or this was let go.
            DiedError: nobody who took it came to an end.
            UserError: the job's own files are at fault.
        """
        self._begin()
        with self._packing:
            bundle = self._resolver.pack(request)
            self._send(bundle.pieces)
            scripts = self._send_scripts(Path(request["script"]).parent)
            self._resolver.discard(bundle.pieces)
        told = bundle.request | {"script": f"{scripts['folder']}/{Path(request['script']).name}"}
        limit_s = bundle.limit_s(self._per_audio_second)
        models = hub_models(request, self._project)
        for _ in range(TRIES):
            job = f"{self._home}-{self._run_of}-{next(self._numbers):06}"
            content = {"request": told, "scripts": scripts, "models": models}
            self._patiently(partial(self._mailbox.write, f"requests/{job}.json", content))
            try:
                reply = self._await(job, told, give_back, limit_s)
            finally:
                self._settle(job, bundle.pieces)
            if reply is not None:
                return reply
        raise DiedError("took a job and gave no answer")

    def _send(self, pieces: Iterable[InputFile]) -> None:
        """Put files into the mailbox that are not there."""
        pieces = [piece for piece in pieces if piece.sha256 not in self._sent]
        self._resolver.provide(pieces)
        for piece in pieces:
            name = file_of(self._home, piece.sha256)
            if self._seen.get(name) != piece.size:  # not there, or not whole
                self._patiently(partial(self._mailbox.put, name, piece.path))
            self._sent.add(piece.sha256)

    def _send_scripts(self, folder: Path) -> dict[str, Any]:
        """Put a folder of scripts into the mailbox; return what it is called and holds."""
        files = list(sources.files_of(folder))
        pieces = [self._resolver.file(root, name) for root, name in files]
        self._send(pieces)
        place = f"scripts/{sources.name_of(files)}"
        return {
            "folder": f"{place}/{folder.name}",
            "files": {f"{place}/{piece.name}": piece.sha256 for piece in pieces},
        }

    def _await(
        self, job: str, request: Request, give_back: Callable[[], bool], limit_s: float
    ) -> dict[str, Any] | None:
        """Wait for a result and put it in place; return the reply, or None after too long a time."""
        taken_at: float | None = None
        while True:
            with self._looked:
                self._looked.wait(0.5)
                names = self._seen
            if self._over.is_set():
                raise DisconnectedError(f"{self._mailbox.place} was let go")
            self._refuse_unreachable()
            for worker in parts_of(names, "results").get(job, []):
                reply = self._patiently(partial(self._take, job, worker, request))
                if reply is not None:
                    return reply
            if job in parts_of(names, "claims"):
                taken_at = taken_at or time.monotonic()
            elif give_back():
                raise RequeuedError
            if taken_at and time.monotonic() - taken_at > limit_s:
                return None

    def _patiently(self, act: Callable[[], T]) -> T:
        """Do something with the mailbox, again and again while that is away.

        Raises:
            DisconnectedError: it is away for too long, or this was let go.
        """
        while True:
            try:
                return act()
            except (RcloneError, OSError):
                self._refuse_unreachable()
                if self._over.wait(POLL_S):
                    raise DisconnectedError(f"{self._mailbox.place} was let go") from None

    def _refuse_unreachable(self) -> None:
        if time.monotonic() - self._reached > UNREACHABLE_S:
            raise DisconnectedError(f"{self._mailbox.place} cannot be reached")

    def _take(self, job: str, worker: str, request: Request) -> dict[str, Any] | None:
        """Bring home a result, of which nothing is trusted; None if it is not whole."""
        reply = self._mailbox.read(f"results/{job}/{worker}.json") or {}
        match reply:
            case {"code": int(), "made": dict(made), "contents": dict(), "usage": dict(), "error": str()}:
                pass
            case _:
                return None
        if not all(isinstance(digest, str) and DIGEST.fullmatch(digest) for digest in made.values()):
            return None
        contents = contents_of(reply)
        with tempfile.TemporaryDirectory(dir=self._staging) as folder:
            for name in request["returns"]:
                if name in made and name not in contents:
                    path = Path(folder, "file")
                    if not self._mailbox.get_content(self._home, made[name], path):
                        return None
                    contents[name] = path.read_bytes()
        put_in_place(self._project, request, contents)
        return reply

    def _settle(self, job: str, pieces: Iterable[InputFile]) -> None:
        """Take a job back: what is left of it goes, and the slices of audio that it alone reads."""
        slices = {piece.sha256 for piece in pieces if piece.root == self._staging}
        self._sent -= slices
        with suppress(UserError, OSError):  # the next run does
            names = self._mailbox.names()
            mine = {file_of(self._home, digest) for digest in slices} & names.keys()
            mine |= {name for name in names if job in name.replace(".", "/").split("/")}
            self._mailbox.remove(sorted(mine))

    def _begin(self) -> None:
        """Say that home is there, and begin to look; what a killed run left goes."""
        with self._packing:
            if self._poller is not None:
                return
            self._seen = self._mailbox.names()
            self._mailbox.remove(name for name in self._seen if f"/{self._home}-" in name)
            self._sign.renew()
            self._poller = threading.Thread(target=self._poll, name="mailbox", daemon=True)
            self._poller.start()

    def _poll(self) -> None:
        living, waiting_since, told, pause_s = LivingOnes(), time.monotonic(), False, POLL_S
        while not self._over.wait(pause_s):
            try:
                self._sign.renew()
                names = self._mailbox.names()
            except (UserError, OSError) as error:
                if pause_s < SLOWEST_POLL_S:
                    self._say(f"{error}. Trying again")
                pause_s = SLOWEST_POLL_S
                continue
            with self._looked:
                pause_s = POLL_S if names != self._seen else min(SLOWEST_POLL_S, pause_s * 1.3)
                self._seen, self._reached = names, time.monotonic()
                self._looked.notify_all()
            if any(who.startswith("workers/") for who in living.look(names)):
                waiting_since, told = time.monotonic(), False
            elif not told and time.monotonic() - waiting_since > 60:
                told = True
                self._say(f"no worker at {self._mailbox.place} yet: `sessionscribe work` starts one")

    def lose(self) -> None:
        """Let go of it."""
        self._over.set()

    def close(self, seconds: float) -> None:
        """Take back all that home has put into the mailbox."""
        self._over.set()
        if self._poller is not None:
            self._poller.join(seconds or 1.0)
            with suppress(UserError, OSError):
                names = self._mailbox.names()
                mine = (f"/{self._home}-", f"files/{self._home}/")
                self._mailbox.remove(name for name in names if any(mark in name for mark in mine))
                self._sign.end(names)
            self._poller = None
        shutil.rmtree(self._staging, ignore_errors=True)
