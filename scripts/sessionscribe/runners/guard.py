"""On the machine: own the worker and all its descendants, and end them when home is gone.

    python guard.py

The first line of standard input is a JSON object: ``argv``, ``cwd`` and ``env`` of the worker, ``lease_s``,
``grace_s`` and ``stop`` (a shell command, or ""). An answer with what the machine is goes to standard output,
which from then on is the worker's. Lines that follow go to the worker, empty ones are heartbeats. A line
``end`` announces an end in order. When the input ends without it, or nothing comes for ``lease_s`` seconds,
all descendants get SIGTERM, after ``grace_s`` SIGKILL. If then nobody came back within the lease, ``stop`` is
run: it stops a machine that was started for this. A guard of an earlier connection that still runs in
``cwd`` is relieved first.

Needs nothing but Python's own library; Linux is where nothing escapes it.
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
RELIEVED = signal.SIGUSR1
SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, RELIEVED)
PID_FILE = ".guard"


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process, where the system has such."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; none where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def descendants() -> list[int]:
    """Return every living process below this one (as a subreaper it keeps those that turned daemon)."""
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


def reap() -> None:
    """Let the dead go."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def kill_all(grace_s: float) -> None:
    """End all descendants, those that do not want to as well."""
    for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 10.0)):
        until = time.monotonic() + patience_s
        while (left := descendants()) and time.monotonic() < until:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            time.sleep(0.05)
            reap()


class Guard:
    """Watches over one worker.

    Args:
        told: the first line of standard input.
        rest: what came with it.
    """

    def __init__(self, told: dict[str, Any], rest: bytes) -> None:
        self.told, self.rest, self.ending = told, rest, False
        self.heard = time.monotonic()

    def watch(self) -> int:
        """Run the worker until it ends or home is gone, and return the exit code."""
        worker = self.worker = subprocess.Popen(
            self.told["argv"],
            cwd=self.told["cwd"],
            env={**os.environ, **self.told["env"]},
            stdin=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509 -- no threads here
        )
        self._forward()
        while (code := worker.poll()) is None:
            if select.select([0], [], [], 0.1)[0]:
                if not (block := os.read(0, 1 << 16)):
                    return self.lost("home closed the connection")
                self.heard = time.monotonic()
                self.rest += block
                self._forward()
            elif time.monotonic() - self.heard > self.told["lease_s"]:
                return self.lost(f"nothing from home for {self.told['lease_s']:g} s")
        kill_all(self.told["grace_s"])
        return 128 - code if code < 0 else code

    def _forward(self) -> None:
        *lines, self.rest = self.rest.split(b"\n")
        stdin = self.worker.stdin
        assert stdin is not None
        with suppress(OSError):  # the worker died: the loop sees that
            for line in lines:
                if line == END:
                    self.ending = True
                    stdin.close()
                elif line and not stdin.closed:
                    stdin.write(line + b"\n")
                    stdin.flush()

    def lost(self, why: str) -> int:
        """End everything because home is gone."""
        with suppress(OSError):
            print(f"guard: {why}: the worker is ended", file=sys.stderr, flush=True)
        kill_all(self.told["grace_s"])
        while self.told["stop"] and not self.ending and time.monotonic() - self.heard < self.told["lease_s"]:
            time.sleep(0.1)
        if self.told["stop"] and not self.ending:
            subprocess.run(self.told["stop"], shell=True, stdin=subprocess.DEVNULL, timeout=120, check=False)
        return LOST

    def ended(self, number: int, _frame: FrameType | None) -> None:
        """Heed a signal; the guard of the next connection sends RELIEVED, and needs the machine."""
        for other in SIGNALS:
            signal.signal(other, signal.SIG_IGN)  # once is enough
        self.ending = self.ending or number == RELIEVED
        os._exit(self.lost(f"signal {number}"))


def end_predecessor(file: Path, patience_s: float) -> None:
    """End the guard of an earlier connection: its worker holds memory, and nobody will ask it anything."""
    with suppress(OSError, ValueError):
        pid, began = file.read_text().split()
        for number in (RELIEVED, signal.SIGKILL):
            until = time.monotonic() + patience_s
            if _is(int(pid), began):
                os.kill(int(pid), number)
            while _is(int(pid), began) and time.monotonic() < until:
                time.sleep(0.05)


def _is(pid: int, began: str) -> bool:
    fields = stat(pid)
    return len(fields) > 19 and fields[0] not in "ZX" and fields[19] == began


def accelerator() -> str:
    """Return the name of the GPU, or "" where there is none."""
    if not Path("/dev/nvidiactl").exists():
        return ""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        return ", ".join(line.strip() for line in done.stdout.splitlines() if line.strip())
    return "unknown GPU"


def read_line() -> tuple[bytes, bytes]:
    """Return the first line of standard input, and what came after it."""
    text = b""
    while b"\n" not in text:
        if not (block := os.read(0, 1 << 16)):
            sys.exit(LOST)
        text += block
    line, _, rest = text.partition(b"\n")
    return line, rest


def main() -> int:
    """Do as the docstring says."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    line, rest = read_line()
    told = json.loads(line)
    folder = Path(told["cwd"])
    folder.mkdir(parents=True, exist_ok=True)
    pid_file = folder / PID_FILE
    end_predecessor(pid_file, told["grace_s"] + 12)
    pid_file.write_text(f"{os.getpid()} {(stat(os.getpid()) or ['0'] * 20)[19]}\n")
    guard = Guard(told, rest)

    for number in SIGNALS:
        signal.signal(number, guard.ended)
    about = {"guard": os.getpid(), "host": platform.node(), "accelerator": accelerator()}
    print(json.dumps({**about, "cores": os.cpu_count(), "python": platform.python_version()}), flush=True)
    code = guard.watch()
    with suppress(OSError):
        pid_file.unlink()
    return code


if __name__ == "__main__":
    sys.exit(main())
