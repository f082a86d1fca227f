"""The workers of a run: who takes which job, when one is started and when they end."""

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
"""After so long without a new job a worker takes one from another that has it wait."""
BACKOFF_S, LONGEST_BACKOFF_S = 2.0, 60.0
GRACE_S = 5.0


class NoWorkerError(Exception):
    """No worker runs the job: the run was cancelled, or no runner is left, which the user has been told."""


class Worker(Protocol):
    """What runs jobs, for a while: a process here, or one on another machine."""

    @property
    def alive(self) -> bool:
        """Whether it can take a job, and end it; once it cannot, it never can again."""

    def run(self, request: dict[str, Any], give_back: Callable[[], bool]) -> dict[str, Any]:
        """Have a request run; ``give_back`` is asked whether another worker is free for it meanwhile."""

    def lose(self) -> None:
        """Let go of it after its connection was lost."""

    def close(self, seconds: float) -> None:
        """Let it end within so long, or else end it in the middle of its jobs; return when it is gone."""


@dataclass(eq=False)
class WorkerSlot:
    """Where one worker at a time can be.

    Args:
        name: the runner's.
        start: starts a worker; it is given the log of the job that it is started for.
        lanes: jobs that a worker runs at once.
        waiting: jobs more that it may have, whose files are brought to it meanwhile.
        tries: how often a connection is made again without a success in between, and how often a job is
            tried again whose worker died.
        release: lets go of what outlives workers there, such as a machine that was started.
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
    unusable: str = ""
    closing: bool = False

    def begin(self, log: str | None) -> None:
        """Start a worker."""
        self.worker, self.jobs, self.scripts = self.start(log), 0, set()
        self.idle_since = time.monotonic()

    @property
    def has_worker(self) -> bool:
        """Whether a worker is there and can take jobs."""
        return self.worker is not None and self.worker.alive


class WorkerPool:
    """The workers of several places; one is started when a job needs it.

    A job goes to a worker that is free at once, if it can be one that ran the same script before: that has
    the model. Else a new worker is started; else it waits where it is needed first.

    Args:
        places: where workers can be.
        idle_s: a worker without a job for so long is ended; the next job starts another.
        say: shows the user a line.
    """

    def __init__(
        self, places: list[WorkerSlot], idle_s: float, *, say: Callable[[str], None] = print
    ) -> None:
        self.places, self.idle_s, self._say = places, idle_s, say
        self._changed = threading.Condition()
        self._stopped = self._looking = False
        self._unplaced = 0

    def run(self, request: dict[str, Any], submitted: float) -> dict[str, Any]:
        """Have a request run by a worker, wait for it, and return the worker's reply.

        A job whose worker's connection is lost goes to the next one, and so does one whose worker died, as
        often as its place says.

        Args:
            request: what the worker is told.
            submitted: when Snakemake gave the job away (seconds since the epoch).

        Raises:
            DiedError: the worker died, and the job with it. The next job starts another.
            NoWorkerError: the run was cancelled, or no runner is left.
        """
        deaths = 0
        while True:
            place, worker = self._take(request)
            try:
                queued_s = round(time.time() - submitted, 3)
                reply = worker.run({**request, "queued_s": queued_s}, lambda: self._another_is_free(place))  # noqa: B023
                place.failures = 0
                return reply
            except RequeuedError:
                continue
            except (DisconnectedError, UnusableError) as error:
                self._lose(place, worker, error)
            except DiedError as death:
                deaths += 1
                self._lose(place, worker, None)
                if deaths > place.tries:
                    raise DiedError(f"its worker on {place.name} {death}") from None
                self._say(f"warm: {place.name}: the worker {death}; its job is repeated")
            finally:
                self._leave(place, worker)

    def _take(self, request: dict[str, Any]) -> tuple[WorkerSlot, Worker]:
        """Wait for a worker that can take the job, and reserve it."""
        log = next((path for _, path in request["log"]), None)
        gone = None
        with self._changed:
            self._unplaced += 1
            try:
                while (place := self._choose(request)) is None:
                    self._changed.wait(self._next_try_s())
            finally:
                self._unplaced -= 1
            if not place.has_worker:
                gone = place.worker
                place.begin(log)
                if not self._looking:
                    self._looking = True
                    threading.Thread(target=self._end_idle, name="warm-idle", daemon=True).start()
            place.jobs += 1
            place.scripts.add(request["script"])
            assert place.worker is not None
            worker = place.worker
        if gone:  # its connection went while it had no job: nobody else has let go of it
            self._at_once([gone.lose])
        return place, worker

    def _choose(self, request: dict[str, Any]) -> WorkerSlot | None:
        if self._stopped:
            raise NoWorkerError
        usable = [place for place in self.places if not place.unusable]
        if not usable:
            raise NoWorkerError
        there = [place for place in usable if place.has_worker]
        if free := [place for place in there if place.jobs < place.lanes]:
            return max(free, key=lambda place: (request["script"] in place.scripts, -place.jobs))
        now = time.monotonic()
        if empty := [place for place in usable if not (place.has_worker or place.jobs or place.closing)]:
            ready = [place for place in empty if place.not_before <= now]
            if ready:
                return ready[0]
        waiting = [place for place in there if place.jobs < place.lanes + place.waiting]
        return min(waiting, key=lambda place: place.jobs) if waiting else None

    def _next_try_s(self) -> float | None:
        """Return the seconds until a place may be tried again; None where none waits for that."""
        now = time.monotonic()
        due = [
            place.not_before - now for place in self.places if place.not_before > now and not place.unusable
        ]
        return min(due) + 0.01 if due else None

    def _another_is_free(self, place: WorkerSlot) -> bool:
        """Return whether a job that waits at a place could begin elsewhere, where no other one comes."""
        since = time.monotonic() - IDLE_S
        with self._changed:
            return not self._unplaced and any(
                other.has_worker and other.jobs < other.lanes and other.idle_since < since
                for other in self.places
                if other is not place
            )

    def _leave(self, place: WorkerSlot, worker: Worker) -> None:
        with self._changed:
            if place.worker is worker:
                place.jobs -= 1
                place.idle_since = time.monotonic()
                if not place.jobs and not worker.alive:  # it died, or takes no more jobs
                    threading.Thread(target=self._empty, args=([self._vacate(place)],)).start()
            self._changed.notify_all()

    def _vacate(self, place: WorkerSlot) -> tuple[WorkerSlot, Worker]:
        """Take the worker of a place, where none is started until ``_empty`` is done."""
        assert place.worker is not None
        worker, place.worker, place.closing = place.worker, None, True
        return place, worker

    def _empty(self, vacated: list[tuple[WorkerSlot, Worker]]) -> None:
        """Let go of workers, and then let their places have others."""
        self._at_once(partial(worker.close, GRACE_S) for _, worker in vacated)
        with self._changed:
            for place, _ in vacated:
                place.closing = False
            self._changed.notify_all()

    def _lose(
        self, place: WorkerSlot, worker: Worker, error: DisconnectedError | UnusableError | None
    ) -> None:
        """Let go of a worker whose connection is lost, and see when to try again: once for all its jobs."""
        with self._changed:
            if place.worker is not worker or self._stopped:
                return
            place.worker, place.jobs = None, 0
            if isinstance(error, DisconnectedError):
                place.failures += 1
                wait_s = min(LONGEST_BACKOFF_S, BACKOFF_S * 2 ** (place.failures - 1))
                wait_s *= random.uniform(0.5, 1.0)  # so that several do not come back at once
                place.not_before = time.monotonic() + wait_s
            if isinstance(error, UnusableError) or place.failures > place.tries:
                place.unusable = str(error)
        if place.unusable:
            left = sum(not other.unusable for other in self.places)
            rest = f"The run goes on with {left} other{'s' * (left > 1)}" if left else NONE_LEFT
            self._say(f"warm: {place.name} is given up: {error}. {rest}")
            self._at_once([partial(worker.close, 0)])
        else:
            if error:
                self._say(f"warm: {error}; its jobs go back into the queue, next attempt in {wait_s:.0f} s")
            worker.lose()

    def _end_idle(self) -> None:
        """End workers that had nothing to do for a while; return when there is none."""
        while True:
            time.sleep(max(0.05, min(1.0, self.idle_s / 2)))  # 0 must not spin
            with self._changed:
                now = time.monotonic()
                idle = [
                    place
                    for place in self.places
                    if place.worker and place.jobs == 0 and now - place.idle_since > self.idle_s
                ]
                ended = [self._vacate(place) for place in idle]
                self._looking = any(place.has_worker for place in self.places)
                last = not self._looking
            self._empty(ended)
            if last:
                return

    def dismiss(self) -> None:
        """End all workers that have no job, and see to it that they are gone, and what they had started."""
        with self._changed:
            idle = [place for place in self.places if place.jobs == 0]
            ended = [self._vacate(place) for place in idle if place.worker]
        self._empty(ended)
        self._at_once(place.release for place in idle)

    def stop(self) -> None:
        """Kill all workers, whatever they do, and take no more jobs."""
        with self._changed:
            self._stopped = True
            workers = [place.worker for place in self.places if place.worker]
            self._changed.notify_all()
        self._at_once(partial(worker.close, 0) for worker in workers)
        self._at_once(place.release for place in self.places)

    def _at_once(self, calls: Iterable[Callable[[], None]]) -> None:
        """Call each in a thread of its own, since a machine may take long to stop; wait for all."""

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


NONE_LEFT = "No runner is left; finished work is here. Solve the problem or add another runner, and run again"
