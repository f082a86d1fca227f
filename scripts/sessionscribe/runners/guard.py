"""Runs on the machine: starts the worker, and ends it with all its descendants when contact is lost.

    python guard.py

The first line of standard input is a JSON object: ``argv``, ``cwd`` and ``env`` of the worker, ``lease_s``,
``grace_s`` and ``stop`` (a shell command, or ""). The guard answers with a JSON object that describes the
machine; from then on, standard output is the worker's. All other lines of the input go to the worker, except
empty ones, which are heartbeats, and ``end``, which announces an orderly end.

If the input ends without ``end``, or nothing arrives for ``lease_s`` seconds, all descendants get SIGTERM,
and SIGKILL after ``grace_s``. If no new guard takes over within the lease, ``stop`` is run, which stops a
machine that was started for this run. A new guard in the same folder first ends the one before it.

Needs only Python's standard library. Only on Linux, no descendant can escape.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
END = b"end"
LOST = 143
REPLACED = signal.SIGUSR1
SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, REPLACED)
PID_FILE = ".guard"


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; none if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def descendants() -> list[int]:
    """Return all living descendants; daemons are among them, because this process is a subreaper."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc") if Path("/proc/self").exists() else []:
        fields = stat(int(entry)) if entry.isdigit() else []
        if fields and fields[0] not in "ZX":
            children.setdefault(int(fields[1]), []).append(int(entry))
    found, todo = [], [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def kill_all(grace_s: float) -> None:
    """End all descendants: by SIGTERM, and after ``grace_s`` by SIGKILL."""
    for number, limit_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 10.0)):
        until = time.monotonic() + limit_s
        while (left := descendants()) and time.monotonic() < until:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            time.sleep(0.05)
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


class Guard:
    """The guard of one worker.

    Args:
        job: the first line of standard input.
        rest: the input that was read after it.
    """

    def __init__(self, job: dict[str, Any], rest: bytes) -> None:
        self.job, self.rest, self.ending = job, rest, False
        self.last_contact = time.monotonic()

    def watch(self) -> int:
        """Run the worker until it ends or contact is lost, and return the exit code."""
        worker = self.worker = subprocess.Popen(
            self.job["argv"],
            cwd=self.job["cwd"],
            env={**os.environ, **self.job["env"]},
            stdin=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509 -- no threads here
        )
        self._forward()
        while (code := worker.poll()) is None:
            if select.select([0], [], [], 0.1)[0]:
                if not (block := os.read(0, 1 << 16)):
                    return self.lost("the connection was closed")
                self.last_contact = time.monotonic()
                self.rest += block
                self._forward()
            elif not self._within_lease():
                return self.lost(f"no contact for {self.job['lease_s']:g} s")
        kill_all(self.job["grace_s"])
        return 128 - code if code < 0 else code

    def _forward(self) -> None:
        *lines, self.rest = self.rest.split(b"\n")
        stdin = self.worker.stdin
        assert stdin is not None
        with suppress(OSError):  # the worker died, which `watch` notices
            for line in lines:
                if line == END:
                    self.ending = True
                    stdin.close()
                elif line and not stdin.closed:
                    stdin.write(line + b"\n")
                    stdin.flush()

    def lost(self, why: str) -> int:
        """End the worker and stop the machine, because contact is lost."""
        with suppress(OSError):
            print(f"guard: {why}: the worker is ended", file=sys.stderr, flush=True)
        kill_all(self.job["grace_s"])
        while self.job["stop"] and not self.ending and self._within_lease():
            time.sleep(0.1)
        if self.job["stop"] and not self.ending:
            subprocess.run(self.job["stop"], shell=True, stdin=subprocess.DEVNULL, timeout=120, check=False)
        return LOST

    def _within_lease(self) -> bool:
        return time.monotonic() - self.last_contact <= float(self.job["lease_s"])

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal; REPLACED comes from the next guard, which needs the machine."""
        for other in SIGNALS:
            signal.signal(other, signal.SIG_IGN)
        self.ending = self.ending or number == REPLACED
        os._exit(self.lost(f"signal {number}"))


def end_predecessor(file: Path, limit_s: float) -> None:
    """End the guard of an earlier connection, whose worker holds memory and gets no more requests."""
    with suppress(OSError, ValueError):
        pid, began = file.read_text().split()
        for number in (REPLACED, signal.SIGKILL):
            until = time.monotonic() + limit_s
            if _is(int(pid), began):
                os.kill(int(pid), number)
            while _is(int(pid), began) and time.monotonic() < until:
                time.sleep(0.05)


def _is(pid: int, began: str) -> bool:
    fields = stat(pid)
    return len(fields) > 19 and fields[0] not in "ZX" and fields[19] == began


def accelerator() -> str:
    """Return the names of the GPUs; "" if there is none."""
    if not Path("/dev/nvidiactl").exists():
        return ""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        return ", ".join(line.strip() for line in done.stdout.splitlines() if line.strip())
    return "unknown GPU"


def main() -> int:
    """Guard a worker, as standard input says."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    text = b""
    while b"\n" not in text:
        if not (block := os.read(0, 1 << 16)):
            return LOST
        text += block
    line, _, rest = text.partition(b"\n")
    job = json.loads(line)
    folder = Path(job["cwd"])
    folder.mkdir(parents=True, exist_ok=True)
    pid_file = folder / PID_FILE
    end_predecessor(pid_file, job["grace_s"] + 12)
    pid_file.write_text(f"{os.getpid()} {(stat(os.getpid()) or ['0'] * 20)[19]}\n")
    guard = Guard(job, rest)
    for number in SIGNALS:
        signal.signal(number, guard.handle)
    about = {"guard": os.getpid(), "host": platform.node(), "accelerator": accelerator()}
    print(json.dumps({**about, "cores": os.cpu_count(), "python": platform.python_version()}), flush=True)
    code = guard.watch()
    with suppress(OSError):
        pid_file.unlink()
    return code


if __name__ == "__main__":
    sys.exit(main())
