"""The executor's part in Snakemake: take a job, have it run, say how it went."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from snakemake.exceptions import SpawnedJobError

from snakemake_executor_plugin_warm.benchmark import write_benchmark
from snakemake_executor_plugin_warm.crew import Crew
from snakemake_executor_plugin_warm.request import RESOURCE, needs_model, request_for, script_of
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
        idle_s = float(settings.idle)
        self._models = Crew(settings.workers or -(-max(1, at_once) // lanes), lanes, idle_s)
        self._others = (
            Crew(self.workflow.resource_settings.cores or 1, 1, idle_s) if settings.others else None
        )
        self._guests = frozenset((settings.guests or "").replace(",", " ").split())
        self._left: int | None = None
        self._counting = threading.Lock()
        self._alone = set[Any]()

    def run_single_job(self, job: Any) -> Any:
        """Hand a job to a worker, or run it as the local executor does, and return its future."""
        crew = self._models if self._wants_models(job) else self._others
        deployed = self.workflow.deployment_settings.deployment_method
        script = script_of(job) if crew and not deployed else None
        request = request_for(job, script) if script else None
        if script and request is None and job.rule not in self._alone:
            self._alone.add(job.rule)
            self._say(f"warm: {job.rule.name} runs without workers: JSON would change its parameters")
        if request is None:
            return super().run_single_job(job)  # type: ignore[misc]
        if self._left is None:
            jobs = self.dag.needrun_jobs()
            self._left = sum(self._wants_models(other) and script_of(other) is not None for other in jobs)
            self._lift_rate_limit()
        self.workflow.async_run(job.prepare())
        return self.pool.submit(self.cached_or_run, job, self._run, crew, job, request, time.time())  # type: ignore[attr-defined]

    def _wants_models(self, job: Any) -> bool:
        return needs_model(job) or job.rule.name in self._guests

    def _lift_rate_limit(self) -> None:
        """Take back the scheduler's default limit of 100 jobs a second.

        It makes the scheduler look again one second after every look, each of these for good: some thousand
        jobs later it does nothing else.
        """
        scheduler = self.workflow.scheduler
        scheduler.job_rate_limiter = None
        scheduler.resources["_job_count"] = sys.maxsize

    def _run(self, crew: Crew, job: Any, request: dict[str, Any], submitted: float) -> None:
        """Have a request run; any failure ends as Snakemake's error for jobs that have said what is wrong."""
        try:
            reply = crew.run(request, submitted)
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
        if crew is self._models:
            self._count_down()

    def _count_down(self) -> None:
        """End the workers with models when the last job that needs one is done."""
        with self._counting:
            self._left = (self._left or 0) - 1
            last = self._left <= 0
        if last:
            self._models.dismiss()

    def _crews(self) -> list[Crew]:
        return [crew for crew in (self._models, self._others) if crew]

    @staticmethod
    def _say(text: str) -> None:
        """Write what a job's own process would have written."""
        print(text, file=sys.stderr, flush=True)

    def shutdown(self) -> None:
        """End the workers, then as the local executor does."""
        for crew in self._crews():
            crew.dismiss()
        super().shutdown()  # type: ignore[misc]

    def cancel(self) -> None:
        """Stop the workers with what they do: nothing that they write is half written."""
        for crew in self._crews():
            crew.stop()
        super().cancel()  # type: ignore[misc]
