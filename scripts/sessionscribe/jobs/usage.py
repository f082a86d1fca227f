"""What a job used, for reports of time and cost: measured around the job, written beside its log."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import threading
import time
from pathlib import Path
from statistics import fmean
from weakref import WeakSet

from sessionscribe.artifacts.provenance import JobUsage
from sessionscribe.jobs.metrics import JobMetrics

MIB = 1 << 20


class _CpuTime:
    """The CPU time of this process, in seconds, shared out among the jobs that run in it at the same time."""

    def __init__(self) -> None:
        self._running: WeakSet[Clock] = WeakSet()
        self._lock = threading.Lock()
        self._counted = 0.0

    def begin(self, clock: Clock) -> None:
        """Give a job its share from now on, until nobody refers to its clock any more."""
        with self._lock:
            self._share_out()
            self._running.add(clock)

    def end(self, clock: Clock) -> float:
        """Return the share of a job, which ends."""
        with self._lock:
            self._share_out()
            self._running.discard(clock)
            return clock.cpu_s

    def _share_out(self) -> None:
        now = time.process_time()
        running = list(self._running)
        for clock in running:
            clock.cpu_s += (now - self._counted) / len(running)
        self._counted = now


_CPU_TIME = _CpuTime()


class Clock:
    """Starts when it is made. Jobs in the lanes of one worker share its CPU time; memory is the process's."""

    def __init__(self) -> None:
        with contextlib.suppress(OSError):  # Linux: count the peak of memory anew
            Path("/proc/self/clear_refs").write_text("5")
        self._started, self._when = time.monotonic(), time.time()
        self.cpu_s = 0.0
        _CPU_TIME.begin(self)

    def wall_s(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._started

    def usage(
        self, session: str, rule: str, output: str, used: JobMetrics, *, queued_s: float, ok: bool
    ) -> JobUsage:
        """Return the record of a job that ends now."""
        loads = [at.load for at in used.gpu if at.load is not None]
        return JobUsage(
            session=session,
            rule=rule,
            output=output,
            ok=ok,
            started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._when)),
            host=os.uname().nodename,
            queued_s=round(queued_s, 3),
            wall_s=round(self.wall_s(), 3),
            cpu_s=round(_CPU_TIME.end(self), 3),
            gpu_s=round(used.gpu_s, 3),
            audio_s=round(used.audio_s, 3),
            peak_memory_mb=round(_peak_bytes() / MIB, 1),
            peak_gpu_memory_mb=round(max((at.memory for at in used.gpu), default=0) / MIB, 1),
            gpu_load=round(fmean(loads), 3) if loads else None,
            gpu_temperature_c=max((at.temperature for at in used.gpu if at.temperature), default=None),
            loads=dict(used.loads),
        )


def _peak_bytes() -> int:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
