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


@dataclass
class Meter:
    """What one job has used so far; times in seconds, memory in bytes."""

    audio_s: float = 0.0
    gpu_s: float = 0.0
    gpu_memory: int = 0
    loads: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, *, audio_s: float = 0.0, gpu_s: float = 0.0, gpu_memory: int = 0) -> None:
        """Add times; of memory keep the peak."""
        with self._lock:
            self.audio_s += audio_s
            self.gpu_s += gpu_s
            self.gpu_memory = max(self.gpu_memory, gpu_memory)


_CURRENT: ContextVar[Meter | None] = ContextVar("sessionscribe_meter", default=None)


@contextmanager
def measured() -> Iterator[Meter]:
    """Count for the job of this thread, until the end of the ``with``."""
    meter = Meter()
    token = _CURRENT.set(meter)
    try:
        yield meter
    finally:
        _CURRENT.reset(token)


def heard(seconds: float) -> None:
    """Count audio that the job worked through."""
    if meter := _CURRENT.get():
        meter.add(audio_s=seconds)


def loaded(model: str, seconds: float) -> None:
    """Note that the job had to load a model, and how long that took."""
    if meter := _CURRENT.get():
        meter.loads[model] = round(seconds, 3)


@contextmanager
def on_device(device: str) -> Iterator[None]:
    """Count the time of the ``with`` as the GPU's, and look at its memory, if ``device`` is one."""
    meter = _CURRENT.get()
    if meter is None or not device.startswith("cuda"):
        yield
        return
    started = time.monotonic()
    try:
        yield
    finally:
        from sessionscribe.jobs.memory import gpu_in_use  # noqa: PLC0415 -- only where there is a GPU

        meter.add(gpu_s=time.monotonic() - started, gpu_memory=gpu_in_use())
