"""Kernel locks on files, which end with the process that has them, and the file systems that have none."""

from __future__ import annotations

import errno
import fcntl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

NONE = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
"""What Lustre says unless it is mounted for locks, NFS without its lock service, and others."""


def are_there(folder: Path) -> bool:
    """Return whether files in a folder can be locked."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".tmp-lock-") as file:
        return take(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def take(file: IO[Any] | int, how: int) -> bool:
    """Take a lock, or let go of it, as ``fcntl.flock`` does; return whether the file system has locks.

    Raises:
        BlockingIOError: another one has it, and ``how`` says not to wait.
    """
    try:
        fcntl.flock(file, how)
    except OSError as error:
        if error.errno not in NONE:
            raise
        return False
    return True


@contextmanager
def locked(path: Path, *, wait: bool = True, busy: Callable[[], None] = lambda: None) -> Iterator[int | None]:
    """Hold the lock of a file, which is created; yield its descriptor, or None if another process has it.

    Where the file system has no locks, everybody gets it: most people work alone.

    Args:
        path: the file.
        wait: wait until the other process lets go of it.
        busy: called before waiting.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            take(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                yield None
                return
            busy()
            take(file, fcntl.LOCK_EX)
        yield file.fileno()


def wait_for(file: IO[Any] | int, seconds: float) -> bool:
    """Try to take an exclusive lock for so many seconds; return whether that worked.

    To have it already is well, too. Where the file system has no locks, everybody has it.
    """
    until = time.monotonic() + seconds
    while True:
        with suppress(BlockingIOError):
            take(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(0.1)
