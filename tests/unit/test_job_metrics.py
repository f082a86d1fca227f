"""What a job used is counted for that job, and for nobody else."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from sessionscribe.artifacts.provenance import JobUsage
from sessionscribe.jobs import memory, metrics
from sessionscribe.jobs.metrics import JobMetrics


def test_outside_a_job_nobody_counts() -> None:
    metrics.heard(10)
    metrics.loaded("small", 1)
    with metrics.on_device("cuda"):
        pass


class Driver:
    """An NVIDIA driver, as nvidia-ml-py shows it: no machine of ours has one."""

    NVMLError = RuntimeError
    NVML_TEMPERATURE_GPU = 0

    def __init__(self) -> None:
        self.load = iter((80, 40))

    def nvmlDeviceGetMemoryInfo(self, _gpu: object) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(used=5 << 30)

    def nvmlDeviceGetUtilizationRates(self, _gpu: object) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(gpu=next(self.load))

    def nvmlDeviceGetTemperature(self, _gpu: object, _sensor: int) -> int:  # noqa: N802
        return 61


def test_a_gpu_is_looked_at_while_it_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    monkeypatch.setattr(memory, "_driver", lambda: (driver, object()))
    with metrics.measured() as used:
        with metrics.on_device("cpu"):
            time.sleep(0.02)
        assert (used.gpu_s, used.gpu) == (0.0, [])
        for _ in range(2):  # the second look would come too soon
            with metrics.on_device("cuda"):
                time.sleep(0.02)
        monkeypatch.setattr(metrics, "SAMPLE_S", 0.0)
        with metrics.on_device("cuda"):
            pass
        assert used.gpu_s >= 0.04
    record = used.usage("talk", "rule", "output", queued_s=0, ok=True)
    assert (record.gpu_load, record.gpu_temperature_c, record.peak_gpu_memory_mb) == (0.6, 61, 5120.0)


def test_a_gpu_that_tells_nothing_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mute(Driver):
        def nvmlDeviceGetTemperature(self, _gpu: object, _sensor: int) -> int:  # noqa: N802
            raise self.NVMLError

    for driver, held_mb in (((None, None), 0.0), ((Mute(), object()), 5120.0)):
        monkeypatch.setattr(memory, "_driver", lambda driver=driver: driver)
        with metrics.measured() as used, metrics.on_device("cuda"):
            pass
        record = used.usage("talk", "rule", "output", queued_s=0, ok=True)
        assert (record.gpu_load, record.gpu_temperature_c, record.peak_gpu_memory_mb) == (None, None, held_mb)


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


def recorded(used: JobMetrics) -> JobUsage:
    return used.usage("talk", "rule", "output", queued_s=0, ok=True)


def test_jobs_at_once_share_the_cpu_time_of_their_process() -> None:
    with ExitStack() as first_job, metrics.measured() as second:
        first = first_job.enter_context(metrics.measured())
        spend(0.08)
        assert recorded(first).cpu_s == pytest.approx(0.04, abs=0.01)
        first_job.close()
        spend(0.04)
        assert recorded(second).cpu_s == pytest.approx(0.08, abs=0.01)
    assert recorded(first).cpu_s == pytest.approx(0.04, abs=0.01)


def test_a_job_that_was_broken_off_has_no_share() -> None:
    with pytest.raises(SystemExit), metrics.measured():
        sys.exit()
    with metrics.measured() as job:
        spend(0.02)
        assert recorded(job).cpu_s == pytest.approx(0.02, abs=0.01)


def test_a_job_that_begins_hides_no_peak_of_memory_of_another_one() -> None:
    with metrics.measured() as first:
        bytearray(b"x" * (200 << 20))  # freed at once: memory in use afterwards says nothing about it
        with metrics.measured():
            pass
        assert recorded(first).peak_memory_mb > 200
