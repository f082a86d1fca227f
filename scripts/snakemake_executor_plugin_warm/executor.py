"""The executor's part in Snakemake: take a job, have it run, say how it went."""

from __future__ import annotations

import sys
import time
from typing import Any

from snakemake.exceptions import SpawnedJobError

from snakemake_executor_plugin_warm.benchmark import write_benchmark
from snakemake_executor_plugin_warm.crew import Crew
from snakemake_executor_plugin_warm.request import RESOURCE, request_for, script_of
from snakemake_executor_plugin_warm.worker import StoppedError, WorkerDiedError


class WarmExecutor:
    """What the warm executor does otherwise than the local one, which it is mixed with."""

    workflow: Any
    dag: Any
    pool: Any

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[misc]
        settings = self.workflow.executor_settings
        limit = self.workflow.global_resources.get(RESOURCE)
        lanes = max(1, settings.lanes)
        at_once = limit.value if limit is not None and isinstance(limit.value, int) else 1
        self._crew = Crew(settings.workers or -(-max(1, at_once) // lanes), lanes, float(settings.idle))
        self._left: int | None = None

    def run_single_job(self, job: Any) -> Any:
        """Hand a job to a worker, or run it as the local executor does, and return its future."""
        script = None if self.workflow.deployment_settings.deployment_method else script_of(job)
        request = request_for(job, script) if script else None
        if request is None:
            return super().run_single_job(job)  # type: ignore[misc]
        if self._left is None:
            self._left = sum(script_of(other) is not None for other in self.dag.needrun_jobs())
            self._lift_rate_limit()
        self.workflow.async_run(job.prepare())
        return self.pool.submit(self.cached_or_run, job, self._run, job, request, time.time())  # type: ignore[attr-defined]

    def _lift_rate_limit(self) -> None:
        """Take back the scheduler's default limit of 100 jobs a second.

        It makes the scheduler look again one second after every look, each of these for good: some thousand
        jobs later it does nothing else.
        """
        scheduler = self.workflow.scheduler
        scheduler.job_rate_limiter = None
        scheduler.resources["_job_count"] = sys.maxsize

    def _run(self, job: Any, request: dict[str, Any], submitted: float) -> None:
        """Have a request run; any failure ends as Snakemake's error for jobs that have said what is wrong."""
        try:
            reply = self._crew.run(request, submitted)
        except StoppedError:
            raise SpawnedJobError() from None
        except WorkerDiedError as death:
            self._say(f"warm: {job.rule.name} failed: {death}")
            raise SpawnedJobError() from None
        if not reply["ok"]:
            self._say(reply["error"])
            raise SpawnedJobError()
        if job.benchmark is not None:
            extended = self.workflow.output_settings.benchmark_extended
            write_benchmark(str(job.benchmark), job, reply["usage"], extended=extended)
        self._count_down()

    def _count_down(self) -> None:
        """End the workers when the last job that needs one is done."""
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self._crew.dismiss()

    @staticmethod
    def _say(text: str) -> None:
        """Write what a job's own process would have written."""
        print(text, file=sys.stderr, flush=True)

    def shutdown(self) -> None:
        """End the workers, then as the local executor does."""
        self._crew.dismiss()
        super().shutdown()  # type: ignore[misc]

    def cancel(self) -> None:
        """Stop the workers with what they do: nothing that they write is half written."""
        self._crew.stop()
        super().cancel()  # type: ignore[misc]
