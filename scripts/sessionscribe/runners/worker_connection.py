"""A worker on a machine, under its guard: requests go out on one stream, replies come in on the other."""

from __future__ import annotations

import json
import select
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from sessionscribe.runners.connection import NO_CONNECTION, Connection
from sessionscribe.runners.errors import DiedError, DisconnectedError, UnusableError
from sessionscribe.runners.lines import Lines

LAST_LINES = 20
GRACE_S = 5.0
GUARD_LOST, NOT_FOUND = 143, 127


class WorkerConnection(Lines):
    """A started worker.

    Args:
        connection: to the machine.
        guard: the shell command that runs the guard there.
        argv: the worker's command line.
        cwd: its folder.
        environment: variables for it. They travel on the guard's standard input, since everybody on the
            machine could read them on a command line.
        lease_s, grace_s, stop: how the guard watches: see ``guard``.

    Raises:
        DisconnectedError: the guard did not answer.
        UnusableError: there is no Python to run it.

    Attributes:
        about: what the guard says of the machine: ``host``, ``accelerator``, ``cores``, ``python``.
    """

    def __init__(
        self,
        connection: Connection,
        guard: str,
        argv: Sequence[str],
        *,
        cwd: str,
        environment: Mapping[str, str],
        lease_s: float = 60.0,
        grace_s: float = GRACE_S,
        stop: str = "",
    ) -> None:
        super().__init__()
        self._name, self._said = connection.name, deque[str](maxlen=LAST_LINES)
        self.process = connection.start(guard)
        reader = threading.Thread(target=self._read_errors, name=f"{self._name}-errors", daemon=True)
        reader.start()
        told = {"argv": list(argv), "cwd": cwd, "env": dict(environment)}
        self.write(json.dumps({**told, "lease_s": lease_s, "grace_s": grace_s, "stop": stop}).encode())
        assert self.process.stdout is not None
        patience_s = 60 + grace_s  # a predecessor may have to be ended
        answered = select.select([self.process.stdout], [], [], patience_s)[0]
        line = self.process.stdout.readline() if answered else b""
        if not line:
            if not answered:
                self.process.kill()
            self.process.wait()
            reader.join(1)
            if self.process.returncode == NOT_FOUND:
                what, hint = f"cannot be run ({self.said()})", "Install Python 3.11 or newer there"
                raise UnusableError(what, where=f"{self._name}: {guard.split()[1]}", hint=hint)
            raise DisconnectedError(
                f"{self._name}: the guard did not start ({self.said() or 'no reason given'})"
            )
        self.about: dict[str, Any] = json.loads(line)
        threading.Thread(target=self.listen, name=f"{self._name}-replies", daemon=True).start()
        beat = min(10.0, lease_s / 5)
        threading.Thread(target=self._beat, args=(beat,), name=f"{self._name}-beat", daemon=True).start()

    def said(self) -> str:
        """Return the last lines that guard and worker wrote to standard error outside jobs."""
        return "\n".join(self._said)

    def _beat(self, every_s: float) -> None:
        while self.alive:
            time.sleep(every_s)
            self.write(b"")

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._said.append(line.decode(errors="replace").rstrip())

    def ending(self) -> DisconnectedError | DiedError:
        """Return the error of a job during which the worker, or the connection to it, ended."""
        code = self.process.returncode
        if self.ended_by_us or code in (NO_CONNECTION, GUARD_LOST) or code < 0:
            return DisconnectedError(
                f"the connection to {self._name} is lost ({self.said() or 'no reason given'})"
            )
        return super().ending()

    def end(self) -> None:
        """Let the worker end, and the guard with it."""
        self.write(b"end")
        super().end()

    def wait(self, seconds: float) -> bool:
        """Wait until guard and worker are gone; return whether they are."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
