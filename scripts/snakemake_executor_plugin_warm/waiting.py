"""Submissions that do not start: the reason is shown after a minute, and a run that ends does not wait."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from logging import Logger
from types import FrameType
from typing import Any

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

PATIENCE_S = 60.0
"""A submission that waits for so long is reported."""
LOOK_S = 20.0
"""How often a queue is asked for the reason."""
BEAT_S = 0.5


class Waiting:
    """Mixed with the executor of a plugin that submits, before it."""

    logger: Logger
    workflow: Any
    lock: threading.Lock
    active_jobs: list[SubmittedJobInfo]
    wait: bool
    next_seconds_between_status_checks: Any
    cancel_jobs: Callable[[list[SubmittedJobInfo]], None]
    shutdown: Callable[[], None]

    _heeds = _ending = False
    _look_at, _told = 0.0, ""

    def reasons(self, jobs: Sequence[SubmittedJobInfo]) -> Mapping[str, str]:
        """Return why those of these submissions that have not begun wait, by their ids elsewhere."""
        raise NotImplementedError

    def run_job_pre(self, job: Any) -> None:
        """Begin to handle SIGTERM, upon which Snakemake lets submissions finish."""
        if not self._heeds:
            self._heeds, self._since = True, dict[str, float]()
            before = signal.getsignal(signal.SIGTERM)

            def heed(number: int, frame: FrameType | None) -> None:
                self._ending = True
                if callable(before):
                    before(number, frame)

            signal.signal(signal.SIGTERM, heed)
        super().run_job_pre(job)  # type: ignore[misc]

    def cancel(self) -> None:
        """Cancel what was submitted, also what is being submitted or asked about at this moment."""
        self.shutdown()  # from now on nobody adds to the list or takes from it
        self.cancel_jobs(self.active_jobs)

    async def sleep(self) -> None:
        """Wait until the state of jobs is to be asked for, or the run is over; look why they wait."""
        until = time.monotonic() + self.next_seconds_between_status_checks
        while self.wait and time.monotonic() < until:
            if self._ending or time.monotonic() >= self._look_at:
                self._look()
            await asyncio.sleep(BEAT_S)

    def _look(self) -> None:
        self._look_at = time.monotonic() + LOOK_S
        with self.lock:
            jobs = [job for job in self.active_jobs if job.external_jobid is not None]
        try:
            reasons: Mapping[str, str] = self.reasons(jobs) if jobs else {}
        except Exception as error:  # whatever a service's client raises: the run goes on without
            self.logger.debug(f"no reason why submissions are waiting: {error}")
            return
        waiting = [job for job in jobs if job.external_jobid in reasons]
        if self._ending:
            self._withdraw(waiting)
            return
        self._since = {name: self._since.get(name, time.monotonic()) for name in reasons}
        late = [name for name, since in self._since.items() if time.monotonic() - since >= PATIENCE_S]
        why = "; ".join(reason for reason, _ in Counter(reasons[name] for name in late).most_common(2))
        self._tell(f"{len(late)} of {len(jobs)} submissions are waiting: {why}" if late else "")

    def _tell(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self.logger.info(text or "no submission is waiting any more", extra={"waiting": text})

    def _withdraw(self, jobs: list[SubmittedJobInfo]) -> None:
        """Cancel submissions that have not begun, as no failures."""
        if not jobs:
            return
        self.logger.warning(f"sessionscribe: {len(jobs)} submissions that had not started are cancelled")
        self.cancel_jobs(jobs)
        with self.lock:
            self.active_jobs[:] = [job for job in self.active_jobs if job not in jobs]
        for job in jobs:
            self.workflow.scheduler.error_callback(job.job)
