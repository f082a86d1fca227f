"""Requests to a worker process and its replies, a JSON object a line each, in whatever order replies come."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from itertools import count
from typing import Any

from sessionscribe import PACKAGE
from sessionscribe.runners.errors import DiedError, DisconnectedError

SERVE = PACKAGE.parent / "snakemake_executor_plugin_warm/serve.py"


class Lines:
    """A process that takes requests on its input and replies on its output.

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
            DisconnectedError: we ended the process.
            DiedError: it ended by itself, or gave no answer within the time and was ended.
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
        """Send a line; where the process is gone, nothing."""
        assert self.process.stdin is not None
        with self._sending, suppress(OSError, ValueError):
            self.process.stdin.write(line + b"\n")
            self.process.stdin.flush()
            self.sent += len(line) + 1

    def end(self) -> None:
        """Let the process end: it does as soon as its input does."""
        assert self.process.stdin is not None
        self.ended_by_us = True
        with self._sending, suppress(OSError):
            self.process.stdin.close()

    def listen(self) -> None:
        """Take replies, until the process ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.received += len(line)
            with suppress(ValueError):  # cut off with the connection
                reply = json.loads(line)
                if future := self._waiting.pop(reply["id"], None):
                    future.set_result(reply)
        self.process.wait()
        self._give_up()

    def ending(self) -> DisconnectedError | DiedError:
        """Return the error of a job during which the process ended."""
        if self.ended_by_us:
            return DisconnectedError("was let go")
        code = self.process.returncode
        number = -code if code < 0 else code - 128  # as a shell says it, and our guard
        if number not in set(signal.Signals):
            return DiedError(f"ended with exit code {code}")
        why = " (too little memory is the usual reason)" if number == signal.SIGKILL else ""
        return DiedError(f"was killed by {signal.Signals(number).name}{why}")

    def _give_up(self) -> None:
        while self._waiting:
            with suppress(KeyError):  # another thread was faster
                self._waiting.popitem()[1].set_exception(self.ending())
