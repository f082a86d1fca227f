"""Submissions that do not start: show the reason after a minute, and do not wait for them at the end."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from types import FrameType, MappingProxyType
from typing import Any

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

PATIENCE_S = 60.0
"""A submission that has waited for so long is reported."""
LOOK_S = 20.0
"""How often a queue is asked for reasons."""
BEAT_S = 0.5


class Waiting(RemoteExecutor):
    """A mixin for the executor of a plugin that submits jobs; it comes before that class."""

    _handles_sigterm = _terminated = False
    _look_at, _told = 0.0, ""
    _waiting_since: Mapping[str, float] = MappingProxyType({})

    def reasons(self, jobs: Sequence[SubmittedJobInfo]) -> Mapping[str, str]:
        """Return why submissions have not begun, by external id; those that have begun are left out."""
        raise NotImplementedError

    def run_job_pre(self, job: Any) -> None:
        """Install a handler for SIGTERM, since Snakemake itself would wait for all submissions."""
        if not self._handles_sigterm:
            self._handles_sigterm = True
            before = signal.getsignal(signal.SIGTERM)

            def terminate(number: int, frame: FrameType | None) -> None:
                self._terminated = True
                if callable(before):
                    before(number, frame)

            signal.signal(signal.SIGTERM, terminate)
        super().run_job_pre(job)

    def cancel(self) -> None:
        """Cancel all submissions, including those that are being submitted or checked at this moment."""
        self.shutdown()  # from now on, nobody changes the list
        self.cancel_jobs(self.active_jobs)

    async def sleep(self) -> None:
        """Wait until the next check of all jobs or the end of the run, and find out what is waiting."""
        until = time.monotonic() + self.next_seconds_between_status_checks
        while self.wait and time.monotonic() < until:
            if self._terminated or time.monotonic() >= self._look_at:
                self._look()
            await asyncio.sleep(BEAT_S)

    def _look(self) -> None:
        now = time.monotonic()
        self._look_at = now + LOOK_S
        with self.lock:
            jobs = [job for job in self.active_jobs if job.external_jobid is not None]
        try:
            reasons: Mapping[str, str] = self.reasons(jobs) if jobs else {}
        except Exception as error:  # of any kind, from the client of a service: the run goes on
            self.logger.debug(f"no reason why submissions are waiting: {error}")
            return
        if self._terminated:
            self._withdraw([job for job in jobs if job.external_jobid in reasons])
            return
        self._waiting_since = {name: self._waiting_since.get(name, now) for name in reasons}
        late = [name for name, began in self._waiting_since.items() if now - began >= PATIENCE_S]
        why = "; ".join(reason for reason, _ in Counter(reasons[name] for name in late).most_common(2))
        text = f"{len(late)} of {len(jobs)} submissions are waiting: {why}" if late else ""
        if text != self._told:
            self._told = text
            self.logger.info(text or "no submission is waiting any more", extra={"waiting": text})

    def _withdraw(self, jobs: list[SubmittedJobInfo]) -> None:
        """Cancel submissions that have not begun."""
        if not jobs:
            return
        self.logger.warning(f"sessionscribe: {len(jobs)} submissions that had not started are cancelled")
        self.cancel_jobs(jobs)
        with self.lock:
            self.active_jobs[:] = [job for job in self.active_jobs if job not in jobs]
        for job in jobs:
            self.workflow.scheduler.error_callback(job.job)
