"""One worker process, seen from Snakemake's side: requests in, replies out, and what it died of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sessionscribe.runners.lines import EndedError, Lines
from snakemake_executor_plugin_warm.slot import StoppedError, WorkerDiedError, WorkerSlot

SERVE = Path(__file__).with_name("serve.py")
LAST_LINES = 10


class LocalWorker(Lines):
    """A started worker on this machine.

    It runs in a session of its own, so Ctrl-C reaches it through Snakemake only; it ends when its standard
    input does, which is so however this process ends.

    Args:
        slot: its number, from 0; decides its GPU where there are several.
        lanes: jobs that it runs at once.
        log: file for what it says before its first job.
    """

    def __init__(self, slot: int, lanes: int, *, log: str | None) -> None:
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
                start_new_session=True,
                env=os.environ | visible_gpu(slot),
            )
        finally:
            if stderr:
                stderr.close()
        threading.Thread(target=self.listen, name=f"warm-{slot}", daemon=True).start()

    def run(self, request: dict[str, Any], give_back: Callable[[], bool] = bool) -> dict[str, Any]:
        """Send a request, wait for the reply and return it; a job that is here is never given back."""
        try:
            return self.request(request)
        except EndedError:
            error = StoppedError() if self.ended_by_us else WorkerDiedError(self._obituary(request))
            raise error from None

    def _obituary(self, request: dict[str, Any]) -> str:
        code = self.process.returncode
        if code is not None and code < 0:
            cause = f"was killed by {signal.Signals(-code).name}"
            if -code == signal.SIGKILL:
                cause += " (too little memory is the usual reason)"
        else:
            cause = f"ended with exit code {code}"
        log = next((path for _, path in request["log"]), None)
        if log is None:
            return f"its worker {cause}"
        return f"its worker {cause}. The end of its log ({log}):\n{_tail(Path(log))}"

    def lose(self) -> None:
        """Let go of it; there is no connection to lose."""
        self.end()

    def wait(self, seconds: float) -> None:
        """Wait until it is gone, and kill it if that takes longer."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill it, and whatever it has started."""
        self.ended_by_us = True
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a zombie
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def local_places(size: int, lanes: int) -> list[WorkerSlot]:
    """Return places for ``size`` workers on this machine, each with ``lanes`` jobs at once."""

    def place(slot: int) -> WorkerSlot:
        return WorkerSlot("local", lambda log: LocalWorker(slot, lanes, log=log), lanes)

    return [place(slot) for slot in range(size)]


def visible_gpu(slot: int) -> dict[str, str]:
    """Return the environment that gives the worker of a slot a GPU of its own, where there are several."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        devices = [name.strip() for name in given.split(",") if name.strip()]
    else:
        devices = [str(n) for n in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]
    return {"CUDA_VISIBLE_DEVICES": devices[slot % len(devices)]} if len(devices) > 1 else {}


def _tail(log: Path) -> str:
    with suppress(OSError), log.open(encoding="utf-8", errors="replace") as file:
        return "".join(f"  {line}" for line in deque(file, LAST_LINES)).rstrip("\n")
    return "  (no log)"
