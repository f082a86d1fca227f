"""A worker on a machine, under its guard: requests go out on one stream, replies come in on the other."""

from __future__ import annotations

import json
import select
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

from sessionscribe.runners.connection import NO_CONNECTION, Connection
from sessionscribe.runners.errors import DiedError, DisconnectedError, UnusableError

LAST_LINES = 20
GUARD_LOST, NOT_FOUND = 143, 127


@dataclass(frozen=True)
class Watch:
    """How a guard watches: see ``guard``. Times in seconds."""

    lease_s: float = 60.0
    grace_s: float = 5.0
    stop: str = ""


class WorkerConnection:
    """A started worker.

    Args:
        connection: to the machine.
        guard: the shell command that runs the guard there.
        argv: the worker's command line.
        cwd: its folder.
        environment: variables for it. They travel on the guard's standard input, since everybody on the
            machine could read them on a command line.
        watch: how the guard watches.

    Raises:
        LostError: the guard did not answer.
        UnusableError: there is no Python to run it.

    Attributes:
        about: what the guard says of the machine: ``host``, ``accelerator``, ``cores``, ``python``.
        sent: bytes of requests.
        received: bytes of replies.
    """

    def __init__(
        self,
        connection: Connection,
        guard: str,
        argv: Sequence[str],
        *,
        cwd: str,
        environment: Mapping[str, str],
        watch: Watch,
    ) -> None:
        self._name, self._numbers = connection.name, count(1)
        self._sending, self._ended_by_us = threading.Lock(), False
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._said = deque[str](maxlen=LAST_LINES)
        self.sent = self.received = 0
        self._process = connection.start(guard)
        reader = threading.Thread(target=self._read_errors, name=f"{self._name}-errors", daemon=True)
        reader.start()
        told = {"argv": list(argv), "cwd": cwd, "env": dict(environment), "stop": watch.stop}
        with suppress(OSError):
            self._write(json.dumps({**told, "lease_s": watch.lease_s, "grace_s": watch.grace_s}).encode())
        assert self._process.stdout is not None
        patience_s = 60 + watch.grace_s  # a predecessor may have to be ended
        answered = select.select([self._process.stdout], [], [], patience_s)[0]
        line = self._process.stdout.readline() if answered else b""
        if not line:
            if not answered:
                self._process.kill()
            self._process.wait()
            reader.join(1)
            if self._process.returncode == NOT_FOUND:
                what, hint = f"cannot be run ({self.said()})", "Install Python 3.11 or newer there"
                raise UnusableError(what, where=f"{self._name}: {guard.split()[1]}", hint=hint)
            raise DisconnectedError(
                f"{self._name}: the guard did not start ({self.said() or 'no reason given'})"
            )
        self.about: dict[str, Any] = json.loads(line)
        threading.Thread(target=self._listen, name=f"{self._name}-replies", daemon=True).start()
        beat = min(10.0, watch.lease_s / 5)
        threading.Thread(target=self._beat, args=(beat,), name=f"{self._name}-beat", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether it can take a request."""
        return not self._ended_by_us and self._process.poll() is None

    def said(self) -> str:
        """Return the last lines that guard and worker wrote to standard error outside jobs."""
        return "\n".join(self._said)

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send a request, wait for the reply and return it.

        Raises:
            LostError: the connection was lost.
            DiedError: the worker died, or gave no answer within the time.
        """
        future: Future[dict[str, Any]] = Future()
        with self._sending:
            number = next(self._numbers)
            self._waiting[number] = future
            with suppress(OSError):  # it is gone: the listener says so
                self._write(json.dumps({"id": number, **request}).encode())
        if self._process.poll() is not None:
            self._give_up()
        try:
            return future.result(timeout_s)
        except TimeoutError:
            self._waiting.pop(number, None)
            self.end()
            raise DiedError(f"gave no answer within {timeout_s:.0f} s and was ended") from None

    def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()
        self.sent += len(line) + 1

    def _beat(self, every_s: float) -> None:
        while self.alive:
            time.sleep(every_s)
            with self._sending, suppress(OSError, ValueError):
                self._write(b"")

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said.append(line.decode(errors="replace").rstrip())

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.received += len(line)
            with suppress(ValueError):  # cut off with the connection
                reply = json.loads(line)
                if future := self._waiting.pop(reply["id"], None):
                    future.set_result(reply)
        self._process.wait()
        self._give_up()

    def _give_up(self) -> None:
        while self._waiting:
            with suppress(KeyError):  # another thread was faster
                self._waiting.popitem()[1].set_exception(self._cause())

    def _cause(self) -> Exception:
        code = self._process.returncode
        if self._ended_by_us or code in (NO_CONNECTION, GUARD_LOST) or code < 0:
            return DisconnectedError(
                f"the connection to {self._name} is lost ({self.said() or 'no reason given'})"
            )
        if code > 128:
            why = " (too little memory is the usual reason)" if code == 137 else ""
            return DiedError(f"was killed by signal {code - 128}{why}")
        return DiedError(f"ended with exit code {code}")

    def end(self) -> None:
        """Let the worker end, and the guard with it."""
        self._ended_by_us = True
        with self._sending, suppress(OSError, ValueError):
            self._write(b"end")
            assert self._process.stdin is not None
            self._process.stdin.close()

    def wait(self, seconds: float) -> bool:
        """Wait until guard and worker are gone; return whether they are."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
