"""rclone as a child process: arguments as a list, progress and errors as JSON, exit codes by name.

rclone-python is only used to read progress: it passes command lines to a shell, with names in double quotes,
so a recording named `$(...)` would be executed. Secrets come from rclone's configuration file or the
environment, never from an argument.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sessionscribe.core.errors import UserError
from sessionscribe.storage.locations import S3_REMOTE
from sessionscribe.storage.refusals import explain

EXIT_CODES = {
    1: "error",
    2: "usage",
    3: "directory not found",
    4: "file not found",
    5: "retries exhausted",
    6: "less serious",
    7: "fatal",
    8: "transfer limit",
    9: "nothing transferred",
    10: "duration limit",
}
ENDS_ALL = ("remote", "credentials", "unreachable", "full", "clock")
OWN_OPTIONS = re.compile(
    r"RCLONE_(?:VERBOSE|QUIET|LOG_|USE_JSON_LOG|SYSLOG|PROGRESS|STATS|DUMP|DRY_RUN|INTERACTIVE|RC(?:_|$)|"
    r"INCLUDE|EXCLUDE|FILTER|FILES_FROM|M(?:IN|AX)_|IGNORE_|IMMUTABLE|UPDATE$|SUFFIX|BACKUP_DIR|CO(?:MPARE|PY)_DEST)"
)
"""A user's variables that would change what rclone prints, chooses or writes, unlike those of remotes."""
# If a server is away for some seconds, we wait. If it stays away, we give up within two minutes during a
# transfer, and within half a minute if a user waits for the answer.
PATIENCE = ("--retries=3", "--retries-sleep=3s", "--low-level-retries=4", "--contimeout=15s", "--timeout=60s")
HASTE = ("--retries=2", "--retries-sleep=3s", "--low-level-retries=3", "--contimeout=10s", "--timeout=30s")


class RcloneError(UserError):
    """rclone failed, with the name of its exit code and its own messages; ``reason`` is for programs."""

    def __init__(self, code: str, messages: list[str], *, where: object) -> None:
        self.reason, what, hint = explain(messages, code)
        self.ends_all = self.reason in ENDS_ALL
        super().__init__(what, where=where, hint=hint)


@dataclass(frozen=True)
class Progress:
    """Progress of a transfer: bytes done and in total, bytes per second, seconds left if known."""

    done: int
    total: int
    rate: float
    eta_s: float | None

    def __str__(self) -> str:
        left = "" if self.eta_s is None else f", {self.eta_s:.0f} s left"
        return f"{self.done / 1e6:.1f} of {self.total / 1e6:.1f} MB, {self.rate / 1e6:.1f} MB/s{left}"


def run(
    *arguments: str,
    where: object,
    on_progress: Callable[[Progress], None] | None = None,
    patience: tuple[str, ...] | None = None,
    limit_s: float = threading.TIMEOUT_MAX,
) -> bytes:
    """Run rclone and return what it prints.

    Args:
        arguments: command, paths and options; a path begins with a remote's name or with `/`.
        where: what error messages name.
        on_progress: called about once a second; an exception in it ends rclone.
        patience: the options for retries and time-outs (default: `PATIENCE`).
        limit_s: the time after which it is killed.

    Raises:
        RcloneError: rclone failed or took too long.
    """
    options = ("--use-json-log", "--log-level=INFO", "--stats=1s", *(patience or PATIENCE))
    errors: deque[str] = deque(maxlen=20)
    output: list[bytes] = []

    with started(*options, *arguments, output=subprocess.PIPE) as child:

        def give_up() -> None:
            errors.append(f"i/o timeout: no end after {limit_s:.0f} s")
            child.kill()

        assert child.stdout is not None
        assert child.stderr is not None
        reader = threading.Thread(target=lambda pipe: output.append(pipe.read()), args=(child.stdout,))
        reader.daemon = True
        reader.start()
        limit = threading.Timer(limit_s, give_up)
        limit.daemon = True
        limit.start()
        try:
            for line in child.stderr:
                _process_line(line, errors, on_progress)
            code = child.wait()
        finally:
            limit.cancel()
        reader.join()
    if code not in (0, 9):
        name = EXIT_CODES.get(code, f"ended by signal {-code}" if code < 0 else f"exit code {code}")
        raise RcloneError(name, list(errors), where=where)
    return output[0]


def _process_line(line: bytes, errors: deque[str], on_progress: Callable[[Progress], None] | None) -> None:
    try:
        entry: dict[str, Any] = json.loads(line)
    except ValueError:
        errors.append(line.decode(errors="replace").strip())
        return
    message = str(entry.get("msg", "")).strip()
    if entry.get("level") in ("error", "critical") or message.startswith("Failed to"):
        errors.append(f"{entry['object']}: {message}" if entry.get("object") else message)
    elif on_progress is not None and "stats" in entry:
        from rclone_python.utils import extract_rclone_progress  # noqa: PLC0415 -- brings a terminal's toolkit

        known, found = extract_rclone_progress(line.decode())
        if known and found:
            eta = found["rclone_output"].get("eta")
            on_progress(Progress(found["sent"], found["total"], found["transfer_speed"], eta))


@contextlib.contextmanager
def started(*arguments: str, output: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[bytes]]:
    """Start rclone, which writes to ``output`` and ends with this block at the latest."""
    with subprocess.Popen(
        [executable(), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=environment(),
        start_new_session=True,  # Ctrl-C reaches us, and then we interrupt it
        preexec_fn=end_with_parent,  # noqa: PLW1509 -- one system call
    ) as child:
        try:
            yield child
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGINT)  # rclone then removes incomplete files
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    os.killpg(child.pid, signal.SIGKILL)


_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def end_with_parent() -> None:
    """Let the kernel end this process when the thread that started it ends (Linux only)."""
    if _libc is not None:
        _libc.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


@cache
def executable() -> str:
    """Return the path of this environment's rclone, or else the machine's.

    Raises:
        UserError: rclone is not installed.
    """
    beside = Path(sys.executable).with_name("rclone.exe" if os.name == "nt" else "rclone")
    found = str(beside) if beside.is_file() else shutil.which("rclone")
    if found is None:
        raise UserError("is not installed", where="rclone", hint="Run `make setup`, which installs it")
    return found


def environment(given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return our environment without rclone's options, but with a remote for `s3://`.

    That is made of AWS's standard variables.
    """
    stem = f"RCLONE_CONFIG_{S3_REMOTE.upper()}_"
    endpoint = given.get("AWS_ENDPOINT_URL_S3") or given.get("AWS_ENDPOINT_URL")
    own = {"TYPE": "s3", "ENV_AUTH": "true", "PROVIDER": "Other" if endpoint else "AWS"}
    if endpoint:
        own["ENDPOINT"] = endpoint
    if region := given.get("AWS_REGION") or given.get("AWS_DEFAULT_REGION"):
        own["REGION"] = region
    return {
        **{name: value for name, value in given.items() if not OWN_OPTIONS.match(name)},
        **{f"{stem}{name}": value for name, value in own.items()},
        "RCLONE_ASK_PASSWORD": "false",
    }
