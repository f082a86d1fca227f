"""Submissions that wait: why is said when they have waited for long; an end does not wait for them."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

from snakemake_executor_plugin_warm import waiting
from snakemake_executor_plugin_warm.waiting import Waiting
from sshd import eventually


class Plugin(RemoteExecutor):
    """An executor as the plugins are, on the interface's own class."""

    asks_s = 0.0

    def __post_init__(self) -> None:
        self.cancelled: list[str | None] = []

    def run_job_pre(self, job: Any) -> None: ...

    def run_job(self, job: Any) -> None:
        self.report_job_submission(SubmittedJobInfo(job, external_jobid=job), register_job=False)

    async def check_active_jobs(self, active_jobs: list[SubmittedJobInfo]) -> AsyncIterator[SubmittedJobInfo]:
        await asyncio.sleep(self.asks_s)
        for job in active_jobs:
            yield job

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        self.cancelled += [job.external_jobid for job in active_jobs]


class Executor(Waiting, Plugin):
    """What is submitted is in ``queue`` until it begins."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.queue: dict[str, str] = {}

    def reasons(self, jobs: Sequence[SubmittedJobInfo]) -> Mapping[str, str]:
        return {name: why for name, why in self.queue.items() if name in {job.external_jobid for job in jobs}}


@pytest.fixture
def workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / ".snakemake").mkdir()
    monkeypatch.chdir(tmp_path)
    remote = SimpleNamespace(
        max_status_checks_per_second=100, jobname="{jobid}", jobscript=None, immediate_submit=False,
        seconds_between_status_checks=100,
    )  # fmt: skip
    ended: list[str] = []
    scheduler = SimpleNamespace(submit_callback=lambda _: None, error_callback=ended.append, ended=ended)
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: ended.append("Snakemake"))
    yield SimpleNamespace(
        remote_execution_settings=remote, scheduler=scheduler, dag=None, executor_settings=None,
        storage_settings=SimpleNamespace(shared_fs_usage=[]), main_snakefile="Snakefile",
        executor_plugin=SimpleNamespace(common_settings=SimpleNamespace(init_seconds_before_status_checks=0.3)),
    )  # fmt: skip
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def executor(workflow: Any, monkeypatch: pytest.MonkeyPatch) -> Executor:
    monkeypatch.setattr(waiting, "BEAT_S", 0.02)
    monkeypatch.setattr(waiting, "LOOK_S", 0.1)
    monkeypatch.setattr(RemoteExecutor, "__abstractmethods__", frozenset(), raising=False)
    return Executor(workflow, logging.getLogger("queue"))  # type: ignore[arg-type]


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.waiting for record in caplog.records if hasattr(record, "waiting")]


def test_what_waits_for_long_is_told_with_its_reason_until_it_begins(
    executor: Executor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(waiting, "PATIENCE_S", 0.5)
    executor.queue = {"a": "Resources", "b": "PartitionDown", "c": "Resources"}
    began = time.monotonic()
    executor.run_jobs(["a", "b", "c", "d"])  # type: ignore[list-item]
    assert eventually(lambda: told(caplog), 10)
    assert time.monotonic() - began >= 0.5
    assert told(caplog) == ["3 of 4 submissions are waiting: Resources; PartitionDown"]
    with monkeypatch.context() as patch:
        patch.setattr(executor, "reasons", lambda _: 1 / 0)
        executor._look()
        assert len(told(caplog)) == 1, "a queue that does not answer says nothing of what waits"
    executor.queue.clear()
    assert eventually(lambda: len(told(caplog)) == 2, 10)
    assert told(caplog)[1] == ""
    began = time.monotonic()
    executor.shutdown()
    assert time.monotonic() - began < 5, "not as long as to the next look at the jobs"


def test_what_is_being_asked_about_is_cancelled_too(executor: Executor) -> None:
    executor.asks_s = 0.5
    executor.run_jobs(["a", "b"])  # type: ignore[list-item]
    assert eventually(lambda: not executor.active_jobs, 10), "as when Ctrl-C comes in this moment"
    executor.cancel()
    assert executor.cancelled == ["a", "b"]


def test_sigterm_cancels_what_has_not_begun_and_lets_the_rest_finish(
    executor: Executor, workflow: Any
) -> None:
    executor.queue = {"a": "Resources"}
    executor._look()  # as the thread that waits does, also before there is a submission
    executor.run_jobs(["a", "b"])  # type: ignore[list-item]
    signal.raise_signal(signal.SIGTERM)
    assert eventually(lambda: executor.cancelled, 10)
    assert workflow.scheduler.ended == ["Snakemake", "a"], "Snakemake is told both"
    assert [job.external_jobid for job in executor.active_jobs] == ["b"]
    executor.shutdown()
