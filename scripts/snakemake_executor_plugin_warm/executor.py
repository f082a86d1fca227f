"""The executor as Snakemake sees it: it accepts jobs, has workers run them, and reports the outcome."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from snakemake.exceptions import SpawnedJobError
from snakemake.executors.local import Executor as LocalExecutor
from snakemake.executors.local import common_settings

from sessionscribe.artifacts.provenance import Failure
from sessionscribe.core.errors import UserError, describe
from sessionscribe.jobs.gpu import GpuMonitor
from sessionscribe.jobs.job import note_failure
from sessionscribe.runners.errors import DiedError
from sessionscribe.runners.request import notes_for, paths_of, session_of
from snakemake_executor_plugin_warm import inside
from snakemake_executor_plugin_warm.pool import NoWorkerError, WorkerPool
from snakemake_executor_plugin_warm.slots import local_slots, remote_slots

__all__ = ["Executor", "common_settings"]

RESOURCE = "gpu"
LIMITS = (RESOURCE, "speech_model", "speaker_model")
"""Resources whose limits concern this machine only."""
HINT = "Run again; if memory is short, run fewer jobs at once (`--cores`, `--resources gpu=1`)"
LAST_LINES = 10


class Executor(LocalExecutor):
    """Runs jobs like the local executor, or in workers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        settings, say = self.workflow.executor_settings, self.logger.warning
        lanes = max(1, settings.lanes)
        gpus = inside.limit(self.workflow, RESOURCE)
        here = "local" in settings.runner
        local = local_slots(settings.workers or -(-max(1, gpus) // lanes), lanes) if here else []
        remote = remote_slots(settings, say)
        self._models = WorkerPool(local + remote, settings.idle, say=say)
        others = local_slots(inside.cores(self.workflow), 1) if settings.others else []
        self._others = WorkerPool(others, settings.idle, say=say)
        self._guests = frozenset(settings.guests.replace(",", " ").split())
        # `gpu=N` limits this machine; others take as many jobs as they have room for.
        self._elsewhere = sum(slot.lanes + slot.waiting for slot in remote)
        self._more_gpus = self._elsewhere - (0 if here else gpus)
        if self._elsewhere:
            self.workers += self._elsewhere
            self.pool = ThreadPoolExecutor(max_workers=self.workers)
        self._gpu: GpuMonitor | None = None
        self._model_jobs_left = 0
        self._counting = threading.Lock()

    def run_single_job(self, job: Any) -> Any:
        """Start a job, in a worker if possible, and return its future."""
        pool = self._models if self._wants_models(job) else self._others
        deployed = self.workflow.deployment_settings.deployment_method
        script = inside.script_of(job) if pool.slots and not deployed else None
        request = inside.request_for(job, script) if script else None
        if request is None:
            return super().run_single_job(job)
        inside.lift_rate_limit(self.workflow)
        if pool is self._models and self._gpu is None:
            self._expect_models()
        self.workflow.async_run(job.prepare())
        return self.pool.submit(self.cached_or_run, job, self._run, pool, job, request, time.time())

    def _expect_models(self) -> None:
        """Prepare for jobs that need a model; not before the first one, since counting them takes time."""
        self._gpu = GpuMonitor(log=Path("logs/gpu.tsv")).start()
        jobs = [job for job in inside.jobs_to_run(self.dag) if self._wants_models(job)]
        self._model_jobs_left = sum(inside.script_of(job) is not None for job in jobs)
        if self._elsewhere:
            threads = max((job.threads for job in jobs), default=1)
            more = dict.fromkeys(LIMITS, self._elsewhere) | {RESOURCE: self._more_gpus}
            inside.make_room(self.workflow, more | {"_cores": self._elsewhere * threads})

    def _wants_models(self, job: Any) -> bool:
        return bool(job.resources.get(RESOURCE, 0)) or job.rule.name in self._guests

    def _run(self, pool: WorkerPool, job: Any, request: dict[str, Any], submitted: float) -> None:
        """Have a worker run a request.

        Raises:
            SpawnedJobError: the job failed; the user has been told why.
        """
        try:
            reply = pool.run(request, submitted)
        except NoWorkerError:
            raise SpawnedJobError() from None
        except (DiedError, UserError, OSError) as error:
            note_lost(request, error)
            died = isinstance(error, DiedError)
            what = f"{error}{end_of_log(request)}" if died else describe(error, job.rule.name)
            self.logger.warning(f"warm: {job.rule.name} failed: {what}")
            raise SpawnedJobError() from None
        if reply["code"]:
            self.logger.warning(reply["error"], extra={"code": reply["code"]})
            raise SpawnedJobError()
        if job.benchmark is not None:
            extended = self.workflow.output_settings.benchmark_extended
            with suppress(OSError):  # a full disk must not fail a finished job
                inside.write_benchmark(job, reply["usage"], extended=extended)
        if pool is self._models:
            with self._counting:
                self._model_jobs_left -= 1
                last = self._model_jobs_left <= 0
            if last:
                pool.dismiss()

    def shutdown(self) -> None:
        """End the workers, then shut down the local executor."""
        if self._gpu:
            self._gpu.stop()
            for warning in self._gpu.get_warnings():
                self.logger.warning(f"warm: {warning}")
        self._models.dismiss()
        self._others.dismiss()
        super().shutdown()

    def cancel(self) -> None:
        """Kill the workers, which leave no half-written file, then cancel the local executor."""
        self._models.stop()
        self._others.stop()
        super().cancel()


def note_lost(request: Mapping[str, Any], error: Exception) -> None:
    """Record the failure of a lost job, which cannot do so itself; jobs without a session have no record."""
    session = session_of(request)
    if not session:
        return
    log, output = (next(iter(paths_of(request[name])), "") for name in ("log", "output"))
    what = f"{error}. {HINT}" if isinstance(error, DiedError) else describe(error, session)
    message = f"{session}: {request['rule']} failed: {what}"
    failure = Failure(session=session, rule=request["rule"], output=output, message=message, log=log)
    note_failure(Path(notes_for(request)[0]), failure)


def end_of_log(request: Mapping[str, Any]) -> str:
    """Return the last lines of a job's log with an introduction, or "" if it has none."""
    for log in paths_of(request["log"])[:1]:
        with suppress(OSError), Path(log).open(encoding="utf-8", errors="replace") as file:
            lines = "".join(f"  {line}" for line in deque(file, LAST_LINES))
            return f". The end of its log ({log}):\n{lines}"
    return ""
