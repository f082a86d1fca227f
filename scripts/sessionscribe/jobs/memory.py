"""The memory of this machine and its GPU: how much is free, and how to release some."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import psutil

CGROUP = Path("/sys/fs/cgroup")
LIBC = ctypes.CDLL(None)
MALLOC_OPTIONS = {"M_TRIM_THRESHOLD": (-1, 2**31 - 1), "M_MMAP_MAX": (-4, 0), "M_ARENA_MAX": (-8, 1)}
"""glibc's options (numbers as in malloc.h) that keep freed memory in the process."""


def free(device: str) -> int:
    """Return the free memory for a model on ``device`` (``cpu`` or ``cuda``) in bytes."""
    library, handle = _driver()
    if device.startswith("cuda") and library:
        return int(library.nvmlDeviceGetMemoryInfo(handle).free)
    return min(psutil.virtual_memory().available, _cgroup_free())


class GpuState(NamedTuple):
    """The state of a GPU: used memory in bytes, load of the last second (0 to 1), temperature in °C.

    A part of a GPU (MIG) has no load and temperature of its own.
    """

    memory: int
    load: float | None = None
    temperature: int | None = None


def gpu_state() -> GpuState | None:
    """Return the state of this process's GPU, or None without a driver."""
    library, handle = _driver()
    if library is None:
        return None
    memory = int(library.nvmlDeviceGetMemoryInfo(handle).used)
    try:
        load = library.nvmlDeviceGetUtilizationRates(handle).gpu / 100
        temperature = int(library.nvmlDeviceGetTemperature(handle, library.NVML_TEMPERATURE_GPU))
    except library.NVMLError:
        return GpuState(memory)
    return GpuState(memory, load, temperature)


def keep_freed() -> None:
    """Make this process keep the memory that it frees; `release` returns it to the system.

    Engines allocate hundreds of megabytes for each layer of a model. By default, glibc returns them at once,
    and clearing the pages of the next allocation took 30 % of the CPU time of transcription.
    """
    if hasattr(LIBC, "mallopt"):  # a function of glibc
        for option, value in MALLOC_OPTIONS.values():
            LIBC.mallopt(option, value)


def release() -> None:
    """Return unused memory to the system, including the caches of the allocators."""
    gc.collect()
    if hasattr(LIBC, "malloc_trim"):
        LIBC.malloc_trim(0)
    cuda: Any = getattr(sys.modules.get("torch"), "cuda", None)
    if hasattr(cuda, "empty_cache"):  # missing while another thread imports torch
        cuda.empty_cache()


def is_shortage(error: BaseException) -> bool:
    """Return whether an engine's error means that the memory of the machine or the GPU ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return any(phrase in text for phrase in ("out of memory", "cannot allocate memory", "bad_alloc"))


def _cgroup_free() -> int:
    """Return the free memory within a container's limit (cgroup 2), or a huge number without a limit."""
    try:
        limit = int((CGROUP / "memory.max").read_text())
        return limit - int((CGROUP / "memory.current").read_text())
    except (OSError, ValueError):  # no such file, or `max`
        return 1 << 62


@cache
def _driver() -> tuple[Any, Any]:
    try:
        import pynvml  # noqa: PLC0415 -- needs a driver

        pynvml.nvmlInit()
        first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
        if first.isdigit():
            return pynvml, pynvml.nvmlDeviceGetHandleByIndex(int(first))
        return pynvml, pynvml.nvmlDeviceGetHandleByUUID(first)
    except Exception:  # no package, no driver, no NVIDIA GPU
        return None, None
