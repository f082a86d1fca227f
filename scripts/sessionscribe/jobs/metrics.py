"""What a job uses, counted while it runs: audio worked through, seconds on a GPU, models loaded.

The library reports (``heard``, ``loaded``, ``on_device``) and need not know who counts; outside a job nobody
does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessionscribe.jobs.memory import GpuState


SAMPLE_S = 1.0
"""The GPU is looked at after it computed for a job, and so long after the last look at the earliest."""


@dataclass
class JobMetrics:
    """What one job has used so far; times in seconds.

    ``gpu`` are samples of the GPU, taken while it computed for the job.
    """

    audio_s: float = 0.0
    gpu_s: float = 0.0
    gpu: list[GpuState] = field(default_factory=list)
    loads: dict[str, float] = field(default_factory=dict)
    _sampled: float = field(default=-SAMPLE_S, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

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


_CURRENT: ContextVar[JobMetrics | None] = ContextVar("sessionscribe_meter", default=None)


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
