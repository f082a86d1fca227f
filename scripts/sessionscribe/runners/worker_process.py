"""Worker processes: requests go to standard input, replies come from standard output, in any order.

Each is a line with a JSON object; ``serve.py`` describes them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import nullcontext, suppress
from itertools import count
from pathlib import Path
from typing import Any

from sessionscribe import PACKAGE
from sessionscribe.runners.errors import DiedError, DisconnectedError

SERVE = PACKAGE.parent / "snakemake_executor_plugin_warm/serve.py"


class WorkerProcess:
    """A process that takes requests and replies to them.

    Attributes:
        sent: bytes of requests.
        received: bytes of replies.
    """

    process: subprocess.Popen[bytes]

    def __init__(self) -> None:
        self._numbers, self._sending, self.ended_by_us = count(1), threading.Lock(), False
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self.sent = self.received = 0

    @property
    def alive(self) -> bool:
        """Whether it can take a request."""
        return not self.ended_by_us and self.process.poll() is None

    def ask(self, request: Mapping[str, Any], timeout_s: float | None = None) -> dict[str, Any]:
        """Send a request, wait for the reply and return it.

        Raises:
            DisconnectedError: we have ended the process.
            DiedError: the process ended by itself, or was ended because it did not reply in time.
        """
        future: Future[dict[str, Any]] = Future()
        number = next(self._numbers)
        self._waiting[number] = future
        self.write(json.dumps({"id": number, **request}).encode())
        if self.process.poll() is not None:
            self._give_up()
        try:
            return future.result(timeout_s)
        except TimeoutError:
            self.end()
            raise DiedError(f"gave no answer within {timeout_s:.0f} s and was ended") from None
        finally:
            self._waiting.pop(number, None)

    def write(self, line: bytes) -> None:
        """Send a line, unless the process has ended."""
        assert self.process.stdin is not None
        with self._sending, suppress(OSError, ValueError):
            self.process.stdin.write(line + b"\n")
            self.process.stdin.flush()
            self.sent += len(line) + 1

    def end(self) -> None:
        """Close the input of the process, which makes it end."""
        assert self.process.stdin is not None
        self.ended_by_us = True
        with self._sending, suppress(OSError):
            self.process.stdin.close()

    def listen(self) -> None:
        """Receive replies until the process ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.received += len(line)
            with suppress(ValueError):  # the line was cut off with the connection
                reply = json.loads(line)
                if future := self._waiting.pop(reply["id"], None):
                    future.set_result(reply)
        self.process.wait()
        self._give_up()

    def ending(self) -> DisconnectedError | DiedError:
        """Return the error for jobs that the end of the process has interrupted."""
        if self.ended_by_us:
            return DisconnectedError("was released")
        code = self.process.returncode
        number = -code if code < 0 else code - 128  # the latter from shells and from our guard
        if number not in set(signal.Signals):
            return DiedError(f"ended with exit code {code}")
        why = " (too little memory is the usual reason)" if number == signal.SIGKILL else ""
        return DiedError(f"was killed by {signal.Signals(number).name}{why}")

    def _give_up(self) -> None:
        while self._waiting:
            with suppress(KeyError):  # another thread was faster
                self._waiting.popitem()[1].set_exception(self.ending())


class LocalWorker(WorkerProcess):
    """A worker on this machine.

    It runs in a session of its own, so that Ctrl-C does not reach it directly. It ends with its standard
    input, and so with this process, however that ends.

    Args:
        slot: its number, from 0, which determines its GPU if there are several.
        lanes: number of jobs that it runs at once.
        log: file for its messages before its first job; default: standard error.
        cwd: the folder in which jobs run; default: the current one.
    """

    def __init__(self, slot: int, lanes: int, *, log: str | None = None, cwd: Path | None = None) -> None:
        super().__init__()
        if log:
            Path(log).parent.mkdir(parents=True, exist_ok=True)
        with Path(log).open("ab") if log else nullcontext() as stderr:
            self.process = subprocess.Popen(
                [sys.executable, str(SERVE), "--lanes", str(lanes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=cwd,
                start_new_session=True,
                env=os.environ | visible_gpu(slot),
            )
        threading.Thread(target=self.listen, name=f"warm-{slot}", daemon=True).start()

    def run(self, request: dict[str, Any], give_back: Callable[[], bool] = bool) -> dict[str, Any]:
        """Run a job and return the reply; it is never given back to the queue."""
        return self.ask(request)

    def lose(self) -> None:
        """End the worker."""
        self.end()

    def close(self, seconds: float) -> None:
        """Let the worker end within a time, or else kill it and its children."""
        if seconds:
            self.end()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
                return
        self.ended_by_us = True
        with suppress(ProcessLookupError, PermissionError):  # the latter on macOS, for a zombie
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def visible_gpu(slot: int) -> dict[str, str]:
    """Return the environment that gives a worker one of several GPUs."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        devices = [name.strip() for name in given.split(",") if name.strip()]
    else:
        devices = [str(n) for n in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]
    return {"CUDA_VISIBLE_DEVICES": devices[slot % len(devices)]} if len(devices) > 1 else {}
