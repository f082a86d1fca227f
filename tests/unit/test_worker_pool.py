"""Who takes which job: shared by speed, given back when a worker is lost, and never for ever."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from sessionscribe.runners.errors import DiedError, DisconnectedError, RequeuedError, UnusableError
from snakemake_executor_plugin_warm import pool as crews
from snakemake_executor_plugin_warm.pool import NoWorkerError, WorkerPool, WorkerSlot

REQUEST: dict[str, Any] = {"script": "a.py", "log": []}


class Sleeper:
    """A worker in this process: one lane, each job takes some time, or ends as it is told."""

    def __init__(self, seconds: float = 0.0, *, fails: Callable[[], Exception | None] = lambda: None) -> None:
        self.seconds, self.fails, self.alive, self.state = seconds, fails, True, "at work"
        self._lane, self._gone = threading.Lock(), threading.Event()

    def run(self, request: dict[str, Any], give_back: Callable[[], bool]) -> dict[str, Any]:
        if error := self.fails():
            raise error
        while not self._lane.acquire(timeout=0.05):
            if give_back():
                raise RequeuedError
        try:
            if self._gone.wait(self.seconds):
                raise DisconnectedError("killed")
        finally:
            self._lane.release()
        return {"by": self}

    def lose(self) -> None:
        self.alive, self.state = False, "lost"

    def close(self, seconds: float) -> None:
        self.alive, self.state = False, "ended" if seconds else "killed"
        self._gone.set()


def slot(name: str, worker: Callable[[], Sleeper], waiting: int = 1, tries: int = 3) -> WorkerSlot:
    return WorkerSlot(name, lambda _log: worker(), 1, waiting, tries)


def run_all(pool: WorkerPool, jobs: int, at_once: int) -> Counter[float]:
    """Run jobs, and return how many each kind of worker did."""
    with ThreadPoolExecutor(at_once) as threads:
        replies = list(threads.map(lambda _: pool.run(REQUEST, time.time()), range(jobs)))
    return Counter(reply["by"].seconds for reply in replies)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crews, "BACKOFF_S", 0.02)
    monkeypatch.setattr(crews, "IDLE_S", 0.1)


def test_a_faster_worker_does_more() -> None:
    pool = WorkerPool([slot("slow", lambda: Sleeper(0.2)), slot("fast", lambda: Sleeper(0.05))], 60)
    done = run_all(pool, 20, 4)
    assert done[0.05] >= 2 * done[0.2]
    pool.dismiss()


def test_a_job_that_waits_goes_to_a_worker_that_has_nothing_to_do() -> None:
    pool = WorkerPool([slot("slow", lambda: Sleeper(2.0)), slot("fast", lambda: Sleeper(0.01))], 60)
    began = time.monotonic()
    assert run_all(pool, 4, 4) == {2.0: 1, 0.01: 3}
    assert time.monotonic() - began < 3


def test_lost_jobs_are_given_back_and_the_place_is_tried_again() -> None:
    said, left = [], [DisconnectedError("gone"), DisconnectedError("gone")]
    pool = WorkerPool(
        [slot("flaky", lambda: Sleeper(0.01, fails=lambda: left.pop() if left else None))],
        60,
        say=said.append,
    )
    assert run_all(pool, 3, 1) == {0.01: 3}
    assert len([line for line in said if "its jobs go back into the queue, next attempt in" in line]) == 2
    assert pool.slots[0].failures == 0


def test_the_waits_grow_and_have_an_end() -> None:
    begun: list[float] = []

    def start() -> Sleeper:
        begun.append(time.monotonic())
        return Sleeper(fails=lambda: DisconnectedError("gone"))

    said: list[str] = []
    pool = WorkerPool([slot("gone", start)], 60, say=said.append)
    with pytest.raises(NoWorkerError):
        pool.run(REQUEST, time.time())
    waits = [b - a for a, b in pairwise(begun)]
    assert len(waits) == 3
    for wait, expected in zip(waits, (0.02, 0.04, 0.08), strict=True):
        assert expected / 2 <= wait < expected + 0.5
    assert "No runner is left" in said[-1]
    with pytest.raises(NoWorkerError):
        pool.run(REQUEST, time.time())
    assert len(begun) == 4


def test_a_place_that_will_not_do_is_not_tried_again_and_the_others_go_on() -> None:
    said: list[str] = []
    broken = Sleeper(fails=lambda: UnusableError("is full", where="there", hint="Make room"))
    pool = WorkerPool(
        [slot("full", lambda: broken), slot("well", lambda: Sleeper(0.01))], 60, say=said.append
    )
    assert run_all(pool, 6, 4) == {0.01: 6}
    assert said == ["warm: full is given up: there: is full. Make room. The run goes on with 1 other"]
    assert broken.state == "killed"


def test_a_job_that_kills_its_workers_fails_in_the_end() -> None:
    said: list[str] = []
    pool = WorkerPool(
        [slot("box", lambda: Sleeper(fails=lambda: DiedError("died")), tries=2)], 60, say=said.append
    )
    with pytest.raises(DiedError, match="its worker on box died"):
        pool.run(REQUEST, time.time())
    assert len(said) == 2


def test_a_worker_that_takes_no_more_jobs_is_let_go_before_the_next_one_starts() -> None:
    events: list[str] = []

    class Retiring(Sleeper):
        def run(self, request: dict[str, Any], give_back: Callable[[], bool]) -> dict[str, Any]:
            reply = super().run(request, give_back)
            self.alive = False
            return reply

        def close(self, seconds: float) -> None:
            time.sleep(0.2)
            events.append("ended")

    def start() -> Sleeper:
        events.append("started")
        return Retiring(0.05)

    pool = WorkerPool([slot("box", start, waiting=0)], 60)
    run_all(pool, 3, 2)
    assert events[:5] == ["started", "ended", "started", "ended", "started"]


def test_to_stop_ends_jobs_and_those_that_wait() -> None:
    pool = WorkerPool([slot("box", lambda: Sleeper(60))], 60)
    with ThreadPoolExecutor(3) as threads:
        jobs = [threads.submit(pool.run, REQUEST, time.time()) for _ in range(3)]
        time.sleep(0.2)
        pool.stop()
        for job in jobs:
            with pytest.raises(NoWorkerError):
                job.result(5)


def test_an_idle_worker_is_ended_and_the_next_job_starts_another() -> None:
    made: list[Sleeper] = []

    def start() -> Sleeper:
        made.append(Sleeper())
        return made[-1]

    pool = WorkerPool([slot("box", start)], 0.2)
    pool.run(REQUEST, time.time())
    time.sleep(1)
    assert made[0].state == "ended"
    pool.run(REQUEST, time.time())
    pool.dismiss()
    assert [worker.state for worker in made] == ["ended", "ended"]


def test_a_worker_whose_connection_went_while_it_had_no_job_is_let_go() -> None:
    made: list[Sleeper] = []

    def start() -> Sleeper:
        made.append(Sleeper())
        return made[-1]

    pool = WorkerPool([slot("box", start)], 60)
    pool.run(REQUEST, time.time())
    made[0].alive = False
    pool.run(REQUEST, time.time())
    assert [worker.state for worker in made] == ["lost", "at work"]
    pool.dismiss()
    assert [worker.state for worker in made] == ["lost", "ended"]
