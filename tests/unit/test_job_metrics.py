"""What a job used is counted for that job, and for nobody else."""

from __future__ import annotations

import threading
import time

import pytest

from sessionscribe.jobs import memory, metrics
from sessionscribe.jobs.metrics import JobMetrics
from sessionscribe.jobs.usage import Clock


def test_outside_a_job_nobody_counts() -> None:
    metrics.heard(10)
    metrics.loaded("small", 1)
    with metrics.on_device("cuda"):
        pass


def test_only_a_gpu_counts_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "gpu_in_use", lambda: 5 << 30)
    with metrics.measured() as used:
        with metrics.on_device("cpu"):
            time.sleep(0.02)
        assert (used.gpu_s, used.gpu_memory) == (0.0, 0)
        with metrics.on_device("cuda"):
            time.sleep(0.02)
        assert used.gpu_s >= 0.02
        assert used.gpu_memory == 5 << 30


def test_jobs_in_other_threads_have_their_own_count() -> None:
    counts: dict[str, float] = {}

    def job(name: str, seconds: float) -> None:
        with metrics.measured() as used:
            metrics.heard(seconds)
            time.sleep(0.05)
            metrics.heard(seconds)
        counts[name] = used.audio_s

    threads = [threading.Thread(target=job, args=item) for item in (("a", 1.0), ("b", 10.0))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == {"a": 2.0, "b": 20.0}


def spend(seconds: float) -> None:
    """Use CPU time."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_jobs_at_once_share_the_cpu_time_of_their_process() -> None:
    def ended(clock: Clock) -> float:
        return clock.usage("talk", "rule", "output", JobMetrics(), queued_s=0, ok=True).cpu_s

    first = Clock()
    spend(0.04)
    second = Clock()
    spend(0.04)
    assert ended(first) == pytest.approx(0.06, abs=0.01)
    spend(0.04)
    assert ended(second) == pytest.approx(0.06, abs=0.01)


def test_a_job_that_never_ended_has_no_share() -> None:
    Clock()
    clock = Clock()
    spend(0.02)
    used = clock.usage("talk", "rule", "output", JobMetrics(), queued_s=0, ok=True)
    assert used.cpu_s == pytest.approx(0.02, abs=0.01)
