"""What a job used, for reports of time and cost: measured around the job, written beside its log."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
from pathlib import Path

from sessionscribe.artifacts import JobUsage
from sessionscribe.meter import Meter

MIB = 1 << 20


class Clock:
    """Starts when it is made. CPU time and memory are the process's: lanes of one worker share them."""

    def __init__(self) -> None:
        with contextlib.suppress(OSError):  # Linux: count the peak of memory anew
            Path("/proc/self/clear_refs").write_text("5")
        self._started, self._cpu, self._when = time.monotonic(), time.process_time(), time.time()

    def wall_s(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._started

    def usage(
        self, session: str, rule: str, output: str, used: Meter, *, queued_s: float, ok: bool
    ) -> JobUsage:
        """Return the record of a job that ends now."""
        return JobUsage(
            session=session,
            rule=rule,
            output=output,
            ok=ok,
            started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._when)),
            host=os.uname().nodename,
            queued_s=round(queued_s, 3),
            wall_s=round(self.wall_s(), 3),
            cpu_s=round(time.process_time() - self._cpu, 3),
            gpu_s=round(used.gpu_s, 3),
            audio_s=round(used.audio_s, 3),
            peak_memory_mb=round(_peak_bytes() / MIB, 1),
            peak_gpu_memory_mb=round(used.gpu_memory / MIB, 1),
            loads=dict(used.loads),
        )


def _peak_bytes() -> int:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
