"""Works on jobs that lie in a mailbox: `sessionscribe work PLACE`, on any machine that sees it."""

from __future__ import annotations

import math
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from sessionscribe.core.errors import UserError, complain, describe
from sessionscribe.runners.errors import DiedError
from sessionscribe.runners.mailbox import (
    DIGEST,
    POLL_S,
    SLOWEST_POLL_S,
    LivingOnes,
    Mailbox,
    SignOfLife,
    file_of,
    home_of,
    parts_of,
)
from sessionscribe.runners.mailbox_home import UNREACHABLE_S
from sessionscribe.runners.request import model_request
from sessionscribe.runners.worker_process import LocalWorker

LEAST_S = 300.0
"""No job is taken when less time is left."""
SETTLE_S = 2.0
"""After so long the claims of others on a job are to be seen, too."""


class MailboxServer:
    """Takes jobs out of a mailbox, one after the other in each of its lanes, until it is stopped.

    Args:
        mailbox: where.
        folder: in which jobs run; what they read is kept there.
        lanes: jobs at once.
        seconds: how long this machine is there.
    """

    def __init__(self, mailbox: Mailbox, folder: Path, lanes: int, seconds: float) -> None:
        self._mailbox, self._folder, self._lanes = mailbox, folder, lanes
        self._last_s = time.monotonic() + seconds - LEAST_S
        self.name = secrets.token_hex(4)
        self._sign = SignOfLife(mailbox, f"workers/{self.name}")
        self._living, self._in_hand = LivingOnes(), set[str]()
        self._taking, self._stopped = threading.Lock(), threading.Event()
        self._checked, self._refused = set[str](), set[str]()
        self._process: LocalWorker | None = None
        self.done = 0
        """Jobs that were answered."""

    def serve(self) -> None:
        """Work until ``stop``, or until the time is over."""
        beat = threading.Thread(target=self._beat, daemon=True)
        beat.start()
        lanes = [threading.Thread(target=self._lane, daemon=True) for _ in range(self._lanes)]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
        self._stopped.set()
        beat.join()
        self._patiently(lambda: self._sign.end(self._mailbox.names()))

    def stop(self) -> None:
        """Take no more jobs."""
        self._stopped.set()

    def _beat(self) -> None:
        while not self._stopped.is_set():
            self._patiently(self._sign.renew)
            self._stopped.wait(1.0)

    def _lane(self) -> None:
        pause_s = POLL_S
        while not self._stopped.is_set() and time.monotonic() < self._last_s:
            job = self._patiently(self._next)
            if job is None:
                self._stopped.wait(pause_s)
                pause_s = min(SLOWEST_POLL_S, pause_s * 1.3)
                continue
            pause_s = POLL_S
            try:
                self._patiently(lambda: self._work(job))  # noqa: B023
            finally:
                self._in_hand.discard(job)

    def _patiently(self, act: Callable[[], Any]) -> Any:
        """Do something with the mailbox; what fails is told, and None returned."""
        try:
            return act()
        except (UserError, OSError) as error:
            complain(describe(error, self._mailbox.place))
            self._stopped.wait(POLL_S)
            return None

    def _next(self) -> str | None:
        """Claim a job that nobody works on, whose home is there; None if there is none."""
        with self._taking:
            job = next((job for job in self._open_jobs() if job not in self._in_hand), None)
            if job is None:
                return None
            self._in_hand.add(job)
        ours = False
        try:
            ours = self._claim(job)
        finally:  # also where the mailbox is away: what stayed in hand would never be looked at again
            if not ours:
                self._in_hand.discard(job)
        return job if ours else None

    def _claim(self, job: str) -> bool:
        """Claim a job; return whether it is ours, not another worker's."""
        self._mailbox.write(f"claims/{job}/{self.name}", {})
        self._stopped.wait(SETTLE_S)
        names = self._mailbox.names()
        living = self._living.look(names)
        others = [who for who in parts_of(names, "claims").get(job, []) if f"workers/{who}" in living]
        if f"requests/{job}.json" in names and min([*others, self.name]) == self.name:
            return True
        self._mailbox.remove([f"claims/{job}/{self.name}"])
        return False

    def _open_jobs(self) -> list[str]:
        """Return the jobs to choose from, of one home at a time: another's files may have the same names."""
        names = self._mailbox.names()
        living = self._living.look(names)
        serving = {home_of(job) for job in tuple(self._in_hand)}  # of which other lanes take jobs
        claims, results = parts_of(names, "claims"), parts_of(names, "results")
        jobs = sorted(PurePosixPath(name).stem for name in names if name.startswith("requests/"))
        return [
            job
            for job in jobs
            if f"homes/{home_of(job)}" in living
            and serving <= {home_of(job)}
            and job not in results
            and job not in self._refused
            # A claim of ours on a job that is not in hand could not be taken back.
            and not any(f"workers/{who}" in living for who in claims.get(job, []) if who != self.name)
        ]

    def _work(self, job: str) -> None:
        """Do a job and answer it."""
        told = self._mailbox.read(f"requests/{job}.json")
        try:
            if told is None:  # taken back, or not whole yet
                return
            try:
                request = told["request"]
                files = {**request["files"], **told["scripts"]["files"]}
                script = str(self._folder.absolute() / request["script"])
            except (KeyError, TypeError) as error:
                self._refused.add(job)
                hint = "Use the same version of the program on both sides"
                raise UserError("is not a job that this version understands", where=job, hint=hint) from error
            self._bring(home_of(job), files)
            self._fetch_models(told)
            reply = self._ask({**request, "script": script})
            until = time.monotonic() + UNREACHABLE_S
            while not self._patiently(partial(self._answer, job, request, reply)):
                if self._stopped.is_set() or time.monotonic() > until:
                    return
        finally:
            self._mailbox.remove([f"claims/{job}/{self.name}"])

    def _answer(self, job: str, request: dict[str, Any], reply: dict[str, Any]) -> bool:
        """Put the result of a job into the mailbox; return True, since it is there then."""
        for name, digest in reply.get("made", {}).items():
            if name not in reply["contents"]:
                self._mailbox.put(file_of(home_of(job), digest), self._folder / name)
        if not reply.get("spoilt") and f"requests/{job}.json" in self._mailbox.names():
            self._mailbox.write(f"results/{job}/{self.name}.json", reply)
            self.done += 1
            print(f"{request['rule']}: {'failed' if reply['code'] else 'done'} ({job})", flush=True)
        return True

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Have a request run by the process that keeps the models; return the reply.

        Raises:
            UserError: the process died.
        """
        with self._taking:
            if self._process is None or not self._process.alive:
                self._process = LocalWorker(0, self._lanes, cwd=self._folder)
            process = self._process
        try:
            return process.ask(request)
        except DiedError as death:
            hint = "Another one is started, and the job is free again"
            raise UserError(f"the worker {death}", where=request["rule"], hint=hint) from None

    def _bring(self, home: str, files: dict[str, str]) -> None:
        """Have files of these contents below the folder.

        Raises:
            UserError: one has not arrived whole, or has a name that no job's file has.
        """
        for name, digest in files.items():
            parts = PurePosixPath(name).parts
            if not DIGEST.fullmatch(digest) or PurePosixPath(name).is_absolute() or ".." in parts:
                raise UserError("cannot be a file of a job", where=name, hint="Check who can write there")
            path = self._folder / name
            kept = self._folder / ".files" / digest
            if not kept.is_file():
                arriving = kept.with_name(f".{digest}-{threading.get_ident()}")
                if not self._mailbox.get_content(home, digest, arriving):
                    raise UserError("has not arrived yet", where=name, hint="It will be tried again")
                arriving.replace(kept)
            if not path.exists() or not os.path.samefile(path, kept):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)
                os.link(kept, path)

    def _fetch_models(self, told: dict[str, Any]) -> None:
        """Have the models of the hub that a job names: jobs never ask it themselves."""
        script = self._folder.absolute() / told["scripts"]["folder"] / "check_models.py"
        for kind, model in told.get("models", []):
            if model in self._checked or not script.is_file():
                continue
            reply = self._ask(model_request(str(script), kind, model))
            if reply["code"]:
                raise UserError(reply["error"].strip() or "cannot be had", where=model, hint="See above")
            self._checked.add(model)


def serve(place: str, *, lanes: int = 1, hours: float = 0.0) -> int:
    """Work at a mailbox until this is interrupted or the time is over; return how many jobs were done."""
    with tempfile.TemporaryDirectory(prefix="sessionscribe-work-") as folder:
        server = MailboxServer(Mailbox(place), Path(folder), lanes, hours * 3600 or math.inf)
        print(f"Working at {place} as {server.name}: Ctrl-C ends it", flush=True)
        try:
            server.serve()
        except KeyboardInterrupt:
            server.stop()
        return server.done
