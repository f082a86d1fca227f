"""What a job uses: time, CPU, audio, GPU, memory, models loaded.

The library reports to the job of its thread (``heard``, ``loaded``, ``on_device``); outside jobs, that does
nothing.
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
from typing import TYPE_CHECKING

from sessionscribe.artifacts.provenance import JobUsage

if TYPE_CHECKING:
    from sessionscribe.jobs.memory import GpuState

MIB = 1 << 20
SAMPLE_S = 1.0
"""The GPU is sampled after computations, but not more often than this."""


@dataclass(eq=False)
class JobMetrics:
    """What a job has used so far.

    Attributes:
        audio_s, gpu_s, cpu_s: seconds of audio, of computations on the GPU and of CPU time.
        gpu: samples of the GPU, taken while it computed for the job.
        loads: seconds that it took to load models, by name.
        peak_bytes: peak memory of the process while the job ran.
    """

    audio_s: float = 0.0
    gpu_s: float = 0.0
    cpu_s: float = 0.0
    gpu: list[GpuState] = field(default_factory=list)
    loads: dict[str, float] = field(default_factory=dict)
    peak_bytes: int = 0

    def __post_init__(self) -> None:
        self._started, self._began = time.monotonic(), time.time()
        self._sampled = -SAMPLE_S

    def wall_s(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._started

    def sample_gpu(self) -> None:
        """Sample the GPU, unless the last sample is recent."""
        from sessionscribe.jobs.memory import gpu_state  # noqa: PLC0415 -- only where there is a GPU

        if (now := time.monotonic()) - self._sampled >= SAMPLE_S:
            self._sampled = now
            if state := gpu_state():
                self.gpu.append(state)

    def usage(self, session: str, rule: str, output: str, *, queued_s: float, ok: bool) -> JobUsage:
        """Return the record of the job, which ends now."""
        _PROCESS.share_out()
        loads = [sample.load for sample in self.gpu if sample.load is not None]
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
            gpu_load=round(sum(loads) / len(loads), 3) if loads else None,
            gpu_temperature_c=max((at.temperature for at in self.gpu if at.temperature), default=None),
            loads=dict(self.loads),
        )


class _Process:
    """Divides this process's CPU time among the jobs that run in it, each of which has its peak memory."""

    def __init__(self) -> None:
        self.running = set[JobMetrics]()
        self._lock = threading.Lock()
        self._counted_s = 0.0

    def share_out(self) -> None:
        with self._lock:
            now, peak, running = time.process_time(), _peak_bytes(), list(self.running)
            for job in running:
                job.cpu_s += (now - self._counted_s) / len(running)
                job.peak_bytes = max(job.peak_bytes, peak)
            self._counted_s = now


_PROCESS = _Process()
_CURRENT: ContextVar[JobMetrics | None] = ContextVar("sessionscribe_metrics", default=None)


def _peak_bytes() -> int:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@contextmanager
def measured() -> Iterator[JobMetrics]:
    """Measure the job of this thread, until the end of the block."""
    metrics = JobMetrics()
    _PROCESS.share_out()
    with suppress(OSError):  # Linux: the peak of memory counts from now on
        Path("/proc/self/clear_refs").write_text("5")
    _PROCESS.running.add(metrics)
    token = _CURRENT.set(metrics)
    try:
        yield metrics
    finally:
        _CURRENT.reset(token)
        _PROCESS.share_out()
        _PROCESS.running.discard(metrics)


def heard(seconds: float) -> None:
    """Count audio that the job has processed."""
    if metrics := _CURRENT.get():
        metrics.audio_s += seconds


def loaded(model: str, seconds: float) -> None:
    """Record that the job had to load a model, and how long that took."""
    if metrics := _CURRENT.get():
        metrics.loads[model] = round(seconds, 3)


@contextmanager
def on_device(device: str) -> Iterator[None]:
    """Count the block's time as GPU time and sample the GPU, if ``device`` is one."""
    metrics = _CURRENT.get()
    if metrics is None or not device.startswith("cuda"):
        yield
        return
    started = time.monotonic()
    try:
        yield
    finally:
        spent_s = time.monotonic() - started
        metrics.gpu_s += spent_s
        metrics.sample_gpu()
