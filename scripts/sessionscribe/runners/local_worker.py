"""A worker process on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sessionscribe.runners.lines import SERVE, Lines


class LocalWorker(Lines):
    """A started worker.

    It runs in a session of its own, so Ctrl-C reaches it through us only. It ends when its standard input
    does, and so with this process, however that ends.

    Args:
        slot: its number, from 0; decides its GPU where there are several.
        lanes: jobs that it runs at once.
        log: file for what it says before its first job; else that goes where ours does.
        cwd: the folder in which jobs run; else the current one.
    """

    def __init__(self, slot: int, lanes: int, *, log: str | None = None, cwd: Path | None = None) -> None:
        super().__init__()
        if log:
            Path(log).parent.mkdir(parents=True, exist_ok=True)
        stderr = Path(log).open("ab") if log else None  # noqa: SIM115 -- closed below
        try:
            self.process = subprocess.Popen(
                [sys.executable, str(SERVE), "--lanes", str(lanes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=cwd,
                start_new_session=True,
                env=os.environ | visible_gpu(slot),
            )
        finally:
            if stderr:
                stderr.close()
        threading.Thread(target=self.listen, name=f"warm-{slot}", daemon=True).start()

    def run(self, request: dict[str, Any], give_back: Callable[[], bool] = bool) -> dict[str, Any]:
        """Have a request run and return the reply; a job that is here is never given back."""
        return self.ask(request)

    def lose(self) -> None:
        """Let go of it; there is no connection to lose."""
        self.end()

    def close(self, seconds: float) -> None:
        """Let it end within so long, or else kill it and whatever it has started."""
        if seconds:
            self.end()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
                return
        self.ended_by_us = True
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a zombie
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def visible_gpu(slot: int) -> dict[str, str]:
    """Return the environment that gives the worker of a slot a GPU of its own, where there are several."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        devices = [name.strip() for name in given.split(",") if name.strip()]
    else:
        devices = [str(n) for n in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]
    return {"CUDA_VISIBLE_DEVICES": devices[slot % len(devices)]} if len(devices) > 1 else {}
