"""A job's log: everything that the job and its libraries print, even beside other jobs in one process."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ClassVar, TextIO

from sessionscribe.core.errors import visible

# Appending, because native code writes to it, too, through another descriptor.
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC


class Log(io.TextIOBase):
    """A job's log file. On a full disk, lines are lost, but the job goes on."""

    encoding = "utf-8"

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, FLAGS, 0o644)

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor, for libraries that write to it directly."""
        if self._descriptor < 0:
            raise io.UnsupportedOperation("this log has no file")
        return self._descriptor

    def write(self, text: str) -> int:
        """Write without a buffer, which could fail later."""
        with contextlib.suppress(OSError):
            os.write(self._descriptor, text.encode("utf-8", "backslashreplace"))
        return len(text)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()


class JobLogger:
    """Writes lines to a job's log, and collects what goes into the job's record.

    Attributes:
        flags: warnings about the results.
        inputs: input files that have no record of their own; the record gets their sizes and checksums.
        verdict: the audit's verdict.
    """

    def __init__(self, file: Log) -> None:
        self._file = file
        self.flags: list[str] = []
        self.inputs: list[Path] = []
        self.verdict = ""

    def __call__(self, line: str) -> None:
        """Write a line with the time to the log."""
        print(f"{time.strftime('%H:%M:%S')} {visible(line, None)}", file=self._file)


class _Routed:
    """A standard stream that goes to the log of this thread's job, or else to the original stream."""

    current: ClassVar[ContextVar[Log | None]] = ContextVar("sessionscribe_job_log", default=None)

    def __init__(self, otherwise: TextIO) -> None:
        self.otherwise = otherwise

    def __getattr__(self, name: str) -> Any:
        return getattr(self.current.get() or self.otherwise, name)


@contextmanager
def printing_to(file: Log) -> Iterator[None]:
    """Send what this thread prints to a log, until the end of the block."""
    for name in ("stdout", "stderr"):
        if not isinstance(stream := getattr(sys, name), _Routed):
            setattr(sys, name, _Routed(stream))
    token = _Routed.current.set(file)
    try:
        yield
    finally:
        _Routed.current.reset(token)
