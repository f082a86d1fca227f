"""The worker side of a mailbox: `sessionscribe work PLACE`, on any machine with access to it."""

from __future__ import annotations

import math
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from sessionscribe.core.errors import UserError, complain, describe
from sessionscribe.runners.errors import DiedError
from sessionscribe.runners.mailbox import (
    DIGEST,
    POLL_S,
    SLOWEST_POLL_S,
    UNREACHABLE_S,
    Heartbeat,
    Mailbox,
    Observer,
    file_of,
    home_of,
    workers_by_job,
)
from sessionscribe.runners.request import model_request
from sessionscribe.runners.worker_process import LocalWorker

LEAST_S = 300.0
"""No job is taken when less time is left."""
SETTLE_S = 2.0
"""After this time, the claims of others on a job are visible."""
GRACE_S = 5.0
SCRIPTS = ".scripts"


class MailboxServer:
    """Takes jobs out of a mailbox for some time and runs them in ``folder``, one at a time in each lane."""

    def __init__(self, mailbox: Mailbox, folder: Path, lanes: int, seconds: float) -> None:
        self._mailbox, self._folder, self._lanes = mailbox, folder, lanes
        self._last_start = time.monotonic() + seconds - LEAST_S
        self.name = secrets.token_hex(4)
        self._heartbeat = Heartbeat(mailbox, f"workers/{self.name}")
        self._observer, self._in_hand = Observer(), set[str]()
        self._taking, self._stopped = threading.Lock(), threading.Event()
        self._fetched, self._refused = set[str](), set[str]()
        self._tries = Counter[str]()  # so that a job whose files never arrive does not hold up others
        self._process: LocalWorker | None = None
        self.done = 0
        """Number of jobs with a result."""

    def serve(self) -> None:
        """Work until the time is over or KeyboardInterrupt; then other workers take over at once."""
        beat = threading.Thread(target=self._beat, daemon=True)
        beat.start()
        lanes = [threading.Thread(target=self._lane, daemon=True) for _ in range(self._lanes)]
        for lane in lanes:
            lane.start()
        try:
            for lane in lanes:
                lane.join()
        finally:
            self._stopped.set()
            beat.join()
            self._try(lambda: self._heartbeat.end(self._mailbox.names()))

    def _beat(self) -> None:
        while not self._stopped.is_set():
            self._try(self._heartbeat.renew)
            self._stopped.wait(1.0)

    def _lane(self) -> None:
        pause_s = POLL_S
        while not self._stopped.is_set() and time.monotonic() < self._last_start:
            job = self._try(self._next)
            if job is None:
                self._stopped.wait(pause_s)
                pause_s = min(SLOWEST_POLL_S, pause_s * 1.3)
                continue
            pause_s = POLL_S
            try:
                self._try(partial(self._work, job))
            finally:
                self._in_hand.discard(job)

    def _try(self, act: Callable[[], Any]) -> Any:
        """Use the mailbox; if that fails, print the error, wait and return None."""
        try:
            return act()
        except (UserError, OSError) as error:
            complain(describe(error, self._mailbox.place))
            self._stopped.wait(POLL_S)
            return None

    def _next(self) -> str | None:
        """Return a job that no other worker runs and whose home is alive, or None."""
        with self._taking:
            jobs = (job for job in self._open_jobs() if job not in self._in_hand)
            job = min(jobs, key=self._tries.__getitem__, default=None)
            if job is not None:
                self._tries[job] += 1
                self._in_hand.add(job)
            return job

    def _open_jobs(self) -> list[str]:
        """Return the jobs to choose from, all of one home, since files of another may have the same names."""
        names = self._mailbox.names()
        alive = self._observer.alive(names)
        serving = {home_of(job) for job in tuple(self._in_hand)}
        claims, results = workers_by_job(names, "claims"), workers_by_job(names, "results")
        jobs = sorted(PurePosixPath(name).stem for name in names if name.startswith("requests/"))
        return [
            job
            for job in jobs
            if f"homes/{home_of(job)}" in alive
            and serving <= {home_of(job)}
            and job not in results
            and job not in self._refused
            # A claim of ours on a job that is not in hand is one that could not be removed.
            and not any(f"workers/{who}" in alive for who in claims.get(job, []) if who != self.name)
        ]

    def _work(self, job: str) -> None:
        """Claim a job, run it if no other worker was first, and put its result into the mailbox."""
        claim = f"claims/{job}/{self.name}"
        self._mailbox.write(claim, {})
        try:
            self._stopped.wait(SETTLE_S)
            names = self._mailbox.names()
            alive, claims = self._observer.alive(names), workers_by_job(names, "claims")
            others = [who for who in claims.get(job, []) if f"workers/{who}" in alive]
            content = self._mailbox.read(f"requests/{job}.json")
            if content is not None and min([*others, self.name]) == self.name:
                self._run(job, content)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            self._refused.add(job)
            hint = "Use the same version of the program on both sides"
            raise UserError("is not a job that this version understands", where=job, hint=hint) from error
        finally:
            self._mailbox.remove([claim])

    def _run(self, job: str, content: dict[str, Any]) -> None:
        request, scripts, files = content["request"], content["scripts"], content["request"]["files"]
        folder = self._folder.absolute() / SCRIPTS / scripts["archive"] / scripts["folder"]
        script = str(folder / request["script"])
        self._fetch_files(home_of(job), {**files, f"{SCRIPTS}/{scripts['archive']}.zip": scripts["archive"]})
        self._unpack(scripts["archive"])
        self._fetch_models(folder, content.get("models", []))
        reply = _ask(self._model_process(), {**request, "script": script})
        until = time.monotonic() + UNREACHABLE_S
        while not self._try(partial(self._answer, job, request, reply)):
            if self._stopped.is_set() or time.monotonic() > until:
                return

    def _answer(self, job: str, request: dict[str, Any], reply: dict[str, Any]) -> bool:
        """Put the result of a job into the mailbox, if it is still wanted; return True."""
        large = {name: digest for name, digest in reply["made"].items() if name not in reply["contents"]}
        self._mailbox.put(
            {file_of(home_of(job), digest): self._folder / name for name, digest in large.items()}
        )
        if not reply.get("spoilt") and f"requests/{job}.json" in self._mailbox.names():
            self._mailbox.write(f"results/{job}/{self.name}.json", reply)
            self.done += 1
            print(f"{request['rule']}: {'failed' if reply['code'] else 'done'} ({job})", flush=True)
        return True

    def _model_process(self) -> LocalWorker:
        """Return the process that runs jobs and keeps their models; start it if it is not running."""
        with self._taking:
            if self._process is None or not self._process.alive:
                self._process = LocalWorker(0, self._lanes, cwd=self._folder)
            return self._process

    def _fetch_files(self, home: str, files: dict[str, str]) -> None:
        """Fetch the files of a job, given by name and SHA-256.

        Raises:
            UserError: a file has not arrived intact, or its name leads out of the folder.
        """
        for name, digest in files.items():
            parts = PurePosixPath(name).parts
            if not DIGEST.fullmatch(digest) or PurePosixPath(name).is_absolute() or ".." in parts:
                raise UserError("cannot be a file of a job", where=name, hint="Check who can write there")
        kept = self._folder / ".files"
        kept.mkdir(exist_ok=True)
        missing = {digest for digest in files.values() if not (kept / digest).is_file()}
        self._mailbox.get_contents(home, missing, kept)
        for name, digest in files.items():
            path = self._folder / name
            if not (kept / digest).is_file():
                raise UserError("has not arrived yet", where=name, hint="It will be tried again")
            if not path.exists() or not os.path.samefile(path, kept / digest):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)
                os.link(kept / digest, path)

    def _unpack(self, archive: str) -> None:
        """Unpack an archive of scripts, given by its SHA-256."""
        path = self._folder / SCRIPTS / archive
        with self._taking:
            if not path.exists():
                partial_path = path.with_suffix(".partial")
                shutil.unpack_archive(path.with_suffix(".zip"), partial_path)
                partial_path.replace(path)

    def _fetch_models(self, scripts: Path, models: list[tuple[str, str]]) -> None:
        """Fetch a job's models from the hub, in another process: in one that runs jobs, the hub is off-line.

        Raises:
            UserError: a model is not available.
        """
        script = scripts / "check_models.py"
        for kind, model in models:
            if model in self._fetched or not script.is_file():
                continue
            process = LocalWorker(0, 1, cwd=self._folder)
            try:
                reply = _ask(process, model_request(str(script), kind, model))
            finally:
                process.close(GRACE_S)
            if reply["code"]:
                raise UserError(reply["error"].strip() or "is not available", where=model, hint="See above")
            self._fetched.add(model)


def _ask(process: LocalWorker, request: dict[str, Any]) -> dict[str, Any]:
    """Have a process run a request; return the reply.

    Raises:
        UserError: the process died.
    """
    try:
        return process.ask(request)
    except DiedError as death:
        hint = "Another one is started, and the job is free again"
        raise UserError(f"the worker {death}", where=request["rule"], hint=hint) from None


def serve(place: str, *, lanes: int = 1, hours: float = 0.0) -> int:
    """Work at a mailbox until interrupted or the time is over; return the number of jobs done."""
    with tempfile.TemporaryDirectory(prefix="sessionscribe-work-") as folder:
        server = MailboxServer(Mailbox(place), Path(folder), lanes, hours * 3600 or math.inf)
        print(f"Working at {place} as {server.name}: Ctrl-C ends it", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve()
        return server.done
