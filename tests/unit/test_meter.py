"""What a job used is counted for that job, and for nobody else."""

from __future__ import annotations

import threading
import time

import pytest

from sessionscribe import meter
from sessionscribe.engines import memory


def test_outside_a_job_nobody_counts() -> None:
    meter.heard(10)
    meter.loaded("small", 1)
    with meter.on_device("cuda"):
        pass


def test_only_a_gpu_counts_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "gpu_in_use", lambda: 5 << 30)
    with meter.measured() as used:
        with meter.on_device("cpu"):
            time.sleep(0.02)
        assert (used.gpu_s, used.gpu_memory) == (0.0, 0)
        with meter.on_device("cuda"):
            time.sleep(0.02)
        assert used.gpu_s >= 0.02
        assert used.gpu_memory == 5 << 30


def test_jobs_in_other_threads_have_their_own_count() -> None:
    counts: dict[str, float] = {}

    def job(name: str, seconds: float) -> None:
        with meter.measured() as used:
            meter.heard(seconds)
            time.sleep(0.05)
            meter.heard(seconds)
        counts[name] = used.audio_s

    threads = [threading.Thread(target=job, args=item) for item in (("a", 1.0), ("b", 10.0))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == {"a": 2.0, "b": 20.0}
