"""A process on another machine under its guard, which receives requests and sends replies through ssh."""

from __future__ import annotations

import json
import select
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from sessionscribe.core.errors import cause
from sessionscribe.runners.connection import NO_CONNECTION, Connection
from sessionscribe.runners.errors import DiedError, DisconnectedError, UnusableError
from sessionscribe.runners.worker_process import WorkerProcess

LAST_LINES = 20
GRACE_S = 5.0
GUARD_LOST = 143


class WorkerConnection(WorkerProcess):
    """A process that was started there.

    Args:
        connection: the connection to the machine.
        guard: the shell command that runs the guard there.
        argv: the process's command line.
        cwd: its folder.
        environment: variables for it. They are secrets, so they go to the guard's standard input: command
            lines can be read by everybody on the machine.
        lease_s, grace_s, stop: see ``guard``.

    Raises:
        DisconnectedError: the guard did not answer.
        UnusableError: there is no Python to run the guard.

    Attributes:
        about: the guard's description of the machine: ``host``, ``accelerator``, ``cores``, ``python``.
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
        self._name, self._errors = connection.name, deque[str](maxlen=LAST_LINES)
        self.process = connection.start(guard)
        reader = threading.Thread(target=self._read_errors, name=f"{self._name}-errors", daemon=True)
        reader.start()
        job = {"argv": list(argv), "cwd": cwd, "env": dict(environment)}
        self.write(json.dumps({**job, "lease_s": lease_s, "grace_s": grace_s, "stop": stop}).encode())
        assert self.process.stdout is not None
        limit_s = 60 + grace_s  # an earlier guard may have to be ended
        answered = select.select([self.process.stdout], [], [], limit_s)[0]
        line = self.process.stdout.readline() if answered else b""
        if not line:
            if not answered:
                self.process.kill()
            self.process.wait()
            reader.join(1)
            said, code = self.last_errors(), self.process.returncode
            if code < 0 or code == NO_CONNECTION:
                raise connection.lost(said or "the guard does not answer")
            what, hint = f"cannot be run there ({cause(said)})", "Install Python 3.11 or newer there"
            raise UnusableError(what, where=f"{self._name}: {guard.split()[1]}", hint=hint)
        self.about: dict[str, Any] = json.loads(line)
        threading.Thread(target=self.listen, name=f"{self._name}-replies", daemon=True).start()
        beat = min(10.0, lease_s / 5)
        threading.Thread(target=self._beat, args=(beat,), name=f"{self._name}-beat", daemon=True).start()

    def last_errors(self) -> str:
        """Return the last lines of standard error of guard and process, outside jobs."""
        return "\n".join(self._errors)

    def _beat(self, every_s: float) -> None:
        while self.alive:
            time.sleep(every_s)
            self.write(b"")

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._errors.append(line.decode(errors="replace").rstrip())

    def ending(self) -> DisconnectedError | DiedError:
        """Return the error for jobs that the end of the process, or of the connection, has interrupted."""
        code = self.process.returncode
        if self.ended_by_us or code in (NO_CONNECTION, GUARD_LOST) or code < 0:
            reason = self.last_errors() or "no reason given"
            return DisconnectedError(f"the connection to {self._name} is lost ({reason})")
        return super().ending()

    def end(self) -> None:
        """Let the process end, and the guard with it, which then does not stop the machine."""
        self.write(b"end")
        super().end()

    def close(self, seconds: float) -> None:
        """Let the process end, and wait for that for some seconds."""
        self.end()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
