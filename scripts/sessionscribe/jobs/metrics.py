"""What a job uses: time, CPU, audio worked through, GPU, memory, models loaded.

The library reports (``heard``, ``loaded``, ``on_device``) and need not know who counts; outside a job nobody
does.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING
from weakref import WeakSet

from sessionscribe.artifacts.provenance import JobUsage

if TYPE_CHECKING:
    from sessionscribe.jobs.memory import GpuState

MIB = 1 << 20
SAMPLE_S = 1.0
"""The GPU is looked at after it computed for a job, and so long after the last look at the earliest."""


class _Process:
    """CPU time and memory of this process, shared out among the jobs that run in it at the same time."""

    def __init__(self) -> None:
        self._running: WeakSet[JobMetrics] = WeakSet()
        self._lock = threading.Lock()
        self._counted = 0.0

    def begin(self, job: JobMetrics) -> None:
        """Give a job its share from now on, until it ends or nobody refers to it any more."""
        with self._lock:
            self._share_out()
            with suppress(OSError):  # Linux: count the peak of memory from now on
                Path("/proc/self/clear_refs").write_text("5")
            self._running.add(job)

    def end(self, job: JobMetrics) -> None:
        """Give a job the last of its share."""
        with self._lock:
            self._share_out()
            self._running.discard(job)

    def _share_out(self) -> None:
        now, peak, running = time.process_time(), _peak_bytes(), list(self._running)
        for job in running:
            job.cpu_s += (now - self._counted) / len(running)
            job.peak_bytes = max(job.peak_bytes, peak)
        self._counted = now


_PROCESS = _Process()


@dataclass(eq=False)
class JobMetrics:
    """What one job has used since this was made; times in seconds.

    Jobs in the lanes of one worker share its CPU time; memory is the process's. ``gpu`` are samples of the
    GPU, taken while it computed for the job.
    """

    audio_s: float = 0.0
    gpu_s: float = 0.0
    gpu: list[GpuState] = field(default_factory=list)
    loads: dict[str, float] = field(default_factory=dict)
    cpu_s: float = 0.0
    peak_bytes: int = 0

    def __post_init__(self) -> None:
        self._started, self._began = time.monotonic(), time.time()
        self._sampled, self._lock = -SAMPLE_S, threading.Lock()
        _PROCESS.begin(self)

    def wall_s(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._started

    def add(self, *, audio_s: float = 0.0, gpu_s: float = 0.0) -> None:
        """Add times."""
        with self._lock:
            self.audio_s += audio_s
            self.gpu_s += gpu_s

    def sample_gpu(self) -> None:
        """Look at the GPU."""
        from sessionscribe.jobs.memory import gpu_state  # noqa: PLC0415 -- only where there is a GPU

        with self._lock:
            if (now := time.monotonic()) - self._sampled >= SAMPLE_S:
                self._sampled = now
                if state := gpu_state():
                    self.gpu.append(state)

    def usage(self, session: str, rule: str, output: str, *, queued_s: float, ok: bool) -> JobUsage:
        """Return the record of a job that ends now."""
        _PROCESS.end(self)
        loads = [at.load for at in self.gpu if at.load is not None]
        return JobUsage(
            session=session,
            rule=rule,
            output=output,
            ok=ok,
            started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._began)),
            host=os.uname().nodename,
            queued_s=round(queued_s, 3),
            wall_s=round(self.wall_s(), 3),
            cpu_s=round(self.cpu_s, 3),
            gpu_s=round(self.gpu_s, 3),
            audio_s=round(self.audio_s, 3),
            peak_memory_mb=round(self.peak_bytes / MIB, 1),
            peak_gpu_memory_mb=round(max((at.memory for at in self.gpu), default=0) / MIB, 1),
            gpu_load=round(fmean(loads), 3) if loads else None,
            gpu_temperature_c=max((at.temperature for at in self.gpu if at.temperature), default=None),
            loads=dict(self.loads),
        )


def _peak_bytes() -> int:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


_CURRENT: ContextVar[JobMetrics | None] = ContextVar("sessionscribe_metrics", default=None)


@contextmanager
def measured() -> Iterator[JobMetrics]:
    """Count for the job of this thread, until the end of the ``with``."""
    metrics = JobMetrics()
    token = _CURRENT.set(metrics)
    try:
        yield metrics
    finally:
        _CURRENT.reset(token)


def heard(seconds: float) -> None:
    """Count audio that the job worked through."""
    if metrics := _CURRENT.get():
        metrics.add(audio_s=seconds)


def loaded(model: str, seconds: float) -> None:
    """Note that the job had to load a model, and how long that took."""
    if metrics := _CURRENT.get():
        metrics.loads[model] = round(seconds, 3)


@contextmanager
def on_device(device: str) -> Iterator[None]:
    """Count the time of the ``with`` as the GPU's, and look at it, if ``device`` is one."""
    metrics = _CURRENT.get()
    if metrics is None or not device.startswith("cuda"):
        yield
        return
    started = time.monotonic()
    try:
        yield
    finally:
        metrics.add(gpu_s=time.monotonic() - started)
        metrics.sample_gpu()
