"""The executor as Snakemake sees it: it takes jobs, has them run, and reports how they went."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from snakemake.exceptions import SpawnedJobError

from sessionscribe.artifacts.provenance import Failure
from sessionscribe.core.errors import UserError
from sessionscribe.jobs.gpu import GpuMonitor
from sessionscribe.jobs.job import note_failure
from sessionscribe.runners.errors import DiedError
from sessionscribe.runners.request import notes_for, paths_of, session_of
from snakemake_executor_plugin_warm import inside
from snakemake_executor_plugin_warm.places import local_places, remote_places
from snakemake_executor_plugin_warm.pool import NoWorkerError, WorkerPool
from snakemake_executor_plugin_warm.request import LIMITS, RESOURCE, needs_model, request_for, script_of

HINT = "Run again; with too little memory, give it fewer jobs at once (`--cores`, `--resources gpu=1`)"
LAST_LINES = 10


class WarmExecutor:
    """What the warm executor does differently from the local one, with which it is mixed."""

    workflow: Any
    dag: Any
    pool: Any
    workers: int
    logger: logging.Logger

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[misc]
        settings = self.workflow.executor_settings
        lanes = max(1, settings.lanes)
        at_once = inside.limit(self.workflow, RESOURCE)
        idle_s = float(settings.idle)
        here = "local" in settings.runner
        places = local_places(settings.workers or -(-max(1, at_once) // lanes), lanes) if here else []
        elsewhere = remote_places(settings, self._say)
        self._models = WorkerPool(places + elsewhere, idle_s, say=self._say)
        others = local_places(inside.cores(self.workflow), 1) if settings.others else []
        self._others = WorkerPool(others, idle_s) if others else None
        # What `gpu=N` limits is this machine; every other one takes as many jobs as it has room for.
        self._elsewhere = sum(place.lanes + place.waiting for place in elsewhere)
        self._gpus = self._elsewhere - (0 if here else at_once)
        if self._elsewhere:
            self.workers += self._elsewhere
            self.pool = ThreadPoolExecutor(max_workers=self.workers)
        self._guests = frozenset((settings.guests or "").replace(",", " ").split())
        self._gpu = GpuMonitor(log=Path("logs/gpu.tsv"))
        self._left: int | None = None
        self._counting = threading.Lock()
        self._alone = set[Any]()

    def run_single_job(self, job: Any) -> Any:
        """Hand a job to a worker, or run it as the local executor does, and return its future."""
        pool = self._models if self._wants_models(job) else self._others
        deployed = self.workflow.deployment_settings.deployment_method
        script = script_of(job) if pool and not deployed else None
        request = request_for(job, script) if script else None
        if script and request is None and job.rule not in self._alone:
            self._alone.add(job.rule)
            self._say(f"warm: {job.rule.name} runs without workers: JSON would change its parameters")
        if request is None:
            return super().run_single_job(job)  # type: ignore[misc]
        if self._left is None:
            jobs = inside.jobs_to_run(self.dag)
            self._left = sum(self._wants_models(other) and script_of(other) is not None for other in jobs)
            self._gpu.start()
            inside.lift_rate_limit(self.workflow)
            self._make_room(jobs)
        self.workflow.async_run(job.prepare())
        return self.pool.submit(self.cached_or_run, job, self._run, pool, job, request, time.time())  # type: ignore[attr-defined]

    def _wants_models(self, job: Any) -> bool:
        return needs_model(job) or job.rule.name in self._guests

    def _make_room(self, jobs: list[Any]) -> None:
        """Let the scheduler give away as many jobs more as other machines take, without cores of this one."""
        if not self._elsewhere:
            return
        threads = max((job.threads for job in jobs if self._wants_models(job)), default=1)
        more = dict.fromkeys(LIMITS, self._elsewhere) | {RESOURCE: self._gpus}
        inside.make_room(self.workflow, more | {"_cores": self._elsewhere * threads})

    def _run(self, pool: WorkerPool, job: Any, request: dict[str, Any], submitted: float) -> None:
        """Have a request run; any failure ends as Snakemake's error for jobs that have said what is wrong."""
        try:
            reply = pool.run(request, submitted)
        except NoWorkerError:
            raise SpawnedJobError() from None
        except (DiedError, UserError, OSError) as error:
            note_lost(request, error)
            end = end_of_log(request) if isinstance(error, DiedError) else ""
            self._say(f"warm: {job.rule.name} failed: {error}{end}")
            raise SpawnedJobError() from None
        if reply["code"]:
            self.logger.warning(reply["error"], extra={"code": reply["code"]})
            raise SpawnedJobError()
        if job.benchmark is not None:
            extended = self.workflow.output_settings.benchmark_extended
            with suppress(OSError):  # a full disk costs the figures, not the work
                inside.write_benchmark(job, reply["usage"], extended=extended)
        if pool is self._models:
            self._count_down()

    def _count_down(self) -> None:
        """End the workers with models when the last job that needs one is done."""
        with self._counting:
            self._left = (self._left or 0) - 1
            last = self._left <= 0
        if last:
            self._models.dismiss()

    def _pools(self) -> list[WorkerPool]:
        return [pool for pool in (self._models, self._others) if pool]

    def _say(self, text: str) -> None:
        """Tell the user, by Snakemake's logger."""
        self.logger.warning(text)

    def shutdown(self) -> None:
        """End the workers, then as the local executor does."""
        self._gpu.stop()
        for warning in self._gpu.get_warnings():
            self._say(f"warm: {warning}")
        for pool in self._pools():
            pool.dismiss()
        super().shutdown()  # type: ignore[misc]

    def cancel(self) -> None:
        """Stop the workers with what they do: nothing that they write is half written."""
        for pool in self._pools():
            pool.stop()
        super().cancel()  # type: ignore[misc]


def note_lost(request: Mapping[str, Any], error: Exception) -> None:
    """Note that a job was lost, as it would have noted a failure; jobs without a session have no notes."""
    session = session_of(request)
    if not session:
        return
    log, output = (next(iter(paths_of(request[name])), "") for name in ("log", "output"))
    what = str(error) if isinstance(error, UserError) else f"{error}. {HINT}"
    message = f"{session}: {request['rule']} failed: {what}"
    failure = Failure(session=session, rule=request["rule"], output=output, message=message, log=log)
    note_failure(Path(notes_for(request)[0]), failure)


def end_of_log(request: Mapping[str, Any]) -> str:
    """Return the last lines of a job's log, introduced by a few words; "" if there is no log."""
    for log in paths_of(request["log"])[:1]:
        with suppress(OSError), Path(log).open(encoding="utf-8", errors="replace") as file:
            return f". The end of its log ({log}):\n" + "".join(
                f"  {line}" for line in deque(file, LAST_LINES)
            )
    return ""
