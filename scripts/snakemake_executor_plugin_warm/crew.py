"""The workers of a run: who takes which job, when one is started and when they end."""

from __future__ import annotations

import threading
import time
from typing import Any

from snakemake_executor_plugin_warm.worker import StoppedError, Worker


class Crew:
    """Up to ``size`` workers, each with ``lanes`` jobs at once, started when a job needs one.

    A job goes to a worker that ran the same script before, if one is free: that has the model.

    Args:
        size: workers at most.
        lanes: jobs at once in one worker.
        idle_s: a worker without a job for so long is ended; the next job starts another.
    """

    def __init__(self, size: int, lanes: int, idle_s: float) -> None:
        self.size, self.lanes, self.idle_s = size, lanes, idle_s
        self._workers: list[Worker] = []
        self._changed = threading.Condition()
        self._stopped = False

    def run(self, request: dict[str, Any], submitted: float) -> dict[str, Any]:
        """Have a request run by a worker, wait for it, and return the worker's reply.

        Args:
            request: what the worker is told.
            submitted: when Snakemake gave the job away (seconds since the epoch).

        Raises:
            WorkerDiedError: the worker did, and the job with it. The next job starts another.
            StoppedError: the run was cancelled.
        """
        with self._changed:
            while (worker := self._choose(request)) is None:
                self._changed.wait()
            worker.jobs += 1
            worker.scripts.add(request["script"])
        try:
            return worker.run({**request, "queued_s": round(time.time() - submitted, 3)})
        finally:
            with self._changed:
                worker.jobs -= 1
                worker.idle_since = time.monotonic()
                self._changed.notify_all()

    def _choose(self, request: dict[str, Any]) -> Worker | None:
        if self._stopped:
            raise StoppedError
        self._workers = [worker for worker in self._workers if worker.alive]
        free = [worker for worker in self._workers if worker.jobs < self.lanes]
        if free:
            return max(free, key=lambda worker: (request["script"] in worker.scripts, -worker.jobs))
        if len(self._workers) == self.size:
            return None
        if not self._workers:
            threading.Thread(target=self._end_idle, name="warm-idle", daemon=True).start()
        slot = min(set(range(self.size)) - {worker.slot for worker in self._workers})
        worker = Worker(slot, self.lanes, log=next((path for _, path in request["log"]), None))
        self._workers.append(worker)
        return worker

    def _end_idle(self) -> None:
        """End workers that had nothing to do for a while; return when there is none."""
        while True:
            time.sleep(max(0.05, min(1.0, self.idle_s / 2)))  # 0 must not spin
            with self._changed:
                now = time.monotonic()
                for worker in self._workers:
                    if worker.jobs == 0 and now - worker.idle_since > self.idle_s:
                        worker.end()
                self._workers = [worker for worker in self._workers if worker.alive]
                if not self._workers:
                    return

    def dismiss(self) -> None:
        """End all workers that have no job, and see to it that they are gone."""
        with self._changed:
            idle = [worker for worker in self._workers if worker.jobs == 0]
            self._workers = [worker for worker in self._workers if worker.jobs]
        for worker in idle:
            worker.end()
        for worker in idle:
            worker.wait(5)

    def stop(self) -> None:
        """Kill all workers, whatever they do, and take no more jobs."""
        with self._changed:
            self._stopped = True
            for worker in self._workers:
                worker.kill()
            self._changed.notify_all()
