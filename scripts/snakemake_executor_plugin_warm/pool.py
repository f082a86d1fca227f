"""The workers of a run: which one takes which job, and when each starts and ends."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from sessionscribe.core.errors import UserError
from sessionscribe.runners.errors import DiedError, DisconnectedError, RequeuedError, UnusableError

IDLE_S = 1.0
"""After this time without a new job, a worker takes over a job that waits at another one."""
BACKOFF_S, LONGEST_BACKOFF_S = 2.0, 60.0
GRACE_S = 5.0
NONE_LEFT = "No runner is left; finished work is here. Solve the problem or add another runner, and run again"


class NoWorkerError(Exception):
    """No worker can run a job: the run was cancelled, or no runner is left, which the user has been told."""


class Worker(Protocol):
    """A worker process on this machine or another one."""

    @property
    def alive(self) -> bool:
        """Whether the worker can still take jobs; once False, it stays False."""

    def run(self, request: dict[str, Any], give_back: Callable[[], bool]) -> dict[str, Any]:
        """Run a request and return the reply; ``give_back`` says if another worker is free for it."""

    def lose(self) -> None:
        """Release what belongs to a lost connection."""

    def close(self, seconds: float) -> None:
        """End the worker within this time, else kill it with its jobs; return when it is gone."""


@dataclass(eq=False)
class WorkerSlot:
    """A slot in which one worker at a time can run.

    Args:
        name: the runner's name.
        start: starts a worker, given the log of its first job.
        lanes: number of jobs that a worker runs at once.
        waiting: number of additional jobs whose files are sent meanwhile.
        tries: number of failed connections in a row, and of deaths of a worker during one job, to accept.
        release: releases what outlives workers, such as a machine that was started.
    """

    name: str
    start: Callable[[str | None], Worker]
    lanes: int
    waiting: int = 0
    tries: int = 0
    release: Callable[[], None] = lambda: None
    worker: Worker | None = None
    jobs: int = 0
    scripts: set[str] = field(default_factory=set)
    idle_since: float = 0.0
    failures: int = 0
    not_before: float = 0.0
    unusable: bool = False
    closing: bool = False

    @property
    def has_worker(self) -> bool:
        """Whether the slot has a worker that takes jobs."""
        return self.worker is not None and self.worker.alive


class WorkerPool:
    """The workers in several slots, each of which is started when a job needs it.

    A job goes to a worker with a free lane, preferably one that has run the same script and so has its model
    loaded; else to a new worker; else it waits for the first lane to become free.

    Args:
        slots: slots for workers.
        idle_s: seconds without a job after which a worker is ended.
        say: shows a line to the user.
    """

    def __init__(self, slots: list[WorkerSlot], idle_s: float, *, say: Callable[[str], None] = print) -> None:
        self.slots, self.idle_s, self._say = slots, idle_s, say
        self._changed = threading.Condition()
        self._stopped = self._ends_idle = False
        self._unplaced = 0

    def run(self, request: dict[str, Any], submitted: float) -> dict[str, Any]:
        """Have a worker run a request and return its reply.

        If the connection to the worker is lost, another one gets the job; if the worker dies, so it does as
        often as the slot's ``tries`` allow.

        Args:
            request: the request.
            submitted: when Snakemake submitted the job, in seconds since the epoch.

        Raises:
            DiedError: the worker died too often.
            NoWorkerError: the run was cancelled, or no runner is left.
        """
        deaths = 0
        while True:
            slot, worker = self._take(request)
            try:
                queued_s = round(time.time() - submitted, 3)
                reply = worker.run({**request, "queued_s": queued_s}, partial(self._another_is_free, slot))
                slot.failures = 0
                return reply
            except RequeuedError:
                continue
            except (DisconnectedError, UnusableError) as error:
                self._lose(slot, worker, error)
            except DiedError as death:
                deaths += 1
                self._lose(slot, worker, None)
                if deaths > slot.tries:
                    raise DiedError(f"its worker on {slot.name} {death}") from None
                self._say(f"warm: {slot.name}: the worker {death}; its job is repeated")
            finally:
                self._leave(slot, worker)

    def _take(self, request: dict[str, Any]) -> tuple[WorkerSlot, Worker]:
        """Wait for a worker that can take the job, and reserve a lane of it."""
        gone = None
        with self._changed:
            self._unplaced += 1
            try:
                while (slot := self._choose(request["script"])) is None:
                    self._changed.wait(self._next_try_s())
            finally:
                self._unplaced -= 1
            if not slot.has_worker:
                gone = slot.worker
                slot.worker = slot.start(next((path for _, path in request["log"]), None))
                slot.jobs, slot.scripts, slot.idle_since = 0, set(), time.monotonic()
                if not self._ends_idle:
                    self._ends_idle = True
                    threading.Thread(target=self._end_idle, name="warm-idle", daemon=True).start()
            slot.jobs += 1
            slot.scripts.add(request["script"])
            worker = slot.worker
            assert worker is not None
        if gone:  # it was lost while it had no job that would have noticed
            self._call_all([gone.lose])
        return slot, worker

    def _choose(self, script: str) -> WorkerSlot | None:
        usable = [] if self._stopped else [slot for slot in self.slots if not slot.unusable]
        if not usable:
            raise NoWorkerError
        staffed = [slot for slot in usable if slot.has_worker]
        if free := [slot for slot in staffed if slot.jobs < slot.lanes]:
            return max(free, key=lambda slot: (script in slot.scripts, -slot.jobs))
        now = time.monotonic()
        for slot in usable:
            if not (slot.has_worker or slot.jobs or slot.closing) and slot.not_before <= now:
                return slot
        room = [slot for slot in staffed if slot.jobs < slot.lanes + slot.waiting]
        return min(room, key=lambda slot: slot.jobs, default=None)

    def _next_try_s(self) -> float | None:
        """Return the seconds until a slot may be tried again, or None if there is none."""
        now = time.monotonic()
        waits = (slot.not_before - now for slot in self.slots if not slot.unusable)
        return min((wait_s for wait_s in waits if wait_s > 0), default=None)

    def _another_is_free(self, slot: WorkerSlot) -> bool:
        """Return whether a job that waits in a slot could start in another one, for which no job waits."""
        since = time.monotonic() - IDLE_S
        with self._changed:
            return not self._unplaced and any(
                other.has_worker and other.jobs < other.lanes and other.idle_since < since
                for other in self.slots
                if other is not slot
            )

    def _leave(self, slot: WorkerSlot, worker: Worker) -> None:
        with self._changed:
            if slot.worker is worker:
                slot.jobs -= 1
                slot.idle_since = time.monotonic()
                if not slot.jobs and not worker.alive:  # it died, or takes no more jobs
                    threading.Thread(target=self._close, args=([self._vacate(slot)],)).start()
            self._changed.notify_all()

    def _vacate(self, slot: WorkerSlot) -> tuple[WorkerSlot, Worker]:
        """Take the worker out of a slot, which stays empty until the worker is closed."""
        assert slot.worker is not None
        worker, slot.worker, slot.closing = slot.worker, None, True
        return slot, worker

    def _close(self, vacated: list[tuple[WorkerSlot, Worker]]) -> None:
        self._call_all(partial(worker.close, GRACE_S) for _, worker in vacated)
        with self._changed:
            for slot, _ in vacated:
                slot.closing = False
            self._changed.notify_all()

    def _lose(
        self, slot: WorkerSlot, worker: Worker, error: DisconnectedError | UnusableError | None
    ) -> None:
        """Give up a lost worker, once for all its jobs, and decide whether and when to start another one."""
        with self._changed:
            if slot.worker is not worker or self._stopped:
                return
            slot.worker, slot.jobs = None, 0
            if isinstance(error, DisconnectedError):
                slot.failures += 1
                wait_s = min(LONGEST_BACKOFF_S, BACKOFF_S * 2 ** (slot.failures - 1))
                wait_s *= random.uniform(0.5, 1.0)  # so that several do not reconnect at the same moment
                slot.not_before = time.monotonic() + wait_s
            slot.unusable = isinstance(error, UnusableError) or slot.failures > slot.tries
        if slot.unusable:
            left = sum(not other.unusable for other in self.slots)
            rest = f"The run goes on with {left} other{'s' * (left > 1)}" if left else NONE_LEFT
            self._say(f"warm: {slot.name} is given up: {error}. {rest}")
            self._call_all([partial(worker.close, 0)])
        else:
            if error:
                self._say(f"warm: {error}; its jobs go back into the queue, next attempt in {wait_s:.0f} s")
            worker.lose()

    def _end_idle(self) -> None:
        """End workers that have been idle for long, until there are no workers."""
        staffed = True
        while staffed:
            time.sleep(max(0.05, min(1.0, self.idle_s / 2)))  # 0 must not spin
            with self._changed:
                since = time.monotonic() - self.idle_s
                idle = [
                    slot for slot in self.slots if slot.worker and not slot.jobs and slot.idle_since < since
                ]
                ended = [self._vacate(slot) for slot in idle]
                staffed = self._ends_idle = any(slot.has_worker for slot in self.slots)
            self._close(ended)

    def dismiss(self) -> None:
        """End all workers without a job and release their slots; return when they are gone."""
        with self._changed:
            idle = [slot for slot in self.slots if not slot.jobs]
            ended = [self._vacate(slot) for slot in idle if slot.worker]
        self._close(ended)
        self._call_all(slot.release for slot in idle)

    def stop(self) -> None:
        """Kill all workers with their jobs and accept no more jobs."""
        with self._changed:
            self._stopped = True
            workers = [slot.worker for slot in self.slots if slot.worker]
            self._changed.notify_all()
        self._call_all(partial(worker.close, 0) for worker in workers)
        self._call_all(slot.release for slot in self.slots)

    def _call_all(self, calls: Iterable[Callable[[], None]]) -> None:
        """Call all in threads of their own, since stopping a machine takes long, and wait for them."""

        def guarded(call: Callable[[], None]) -> None:
            try:
                call()
            except UserError as error:
                self._say(f"warm: {error}")

        threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
