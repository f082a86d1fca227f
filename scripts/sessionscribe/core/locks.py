"""Kernel locks on files, which end with their process, and file systems without locks."""

from __future__ import annotations

import errno
import fcntl
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from sessionscribe.core.errors import complain

NONE = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY)
"""Errors of file systems without locks: Lustre, NFS and FUSE may be mounted so."""
QUIET_S = 2
HINT = "If nothing is at work on this project, here or on another machine, delete this file and try again"


def are_there(folder: Path) -> bool:
    """Return whether files in a folder can be locked."""
    with tempfile.TemporaryFile(dir=folder, prefix=".tmp-lock-") as file:
        return take(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def take(file: IO[Any] | int, how: int) -> bool:
    """Lock or unlock as ``fcntl.flock`` does; return whether the file system has locks.

    Raises:
        BlockingIOError: another process has the lock, and ``how`` contains LOCK_NB.
    """
    try:
        fcntl.flock(file, how)
    except OSError as error:
        if error.errno not in NONE:
            raise
        return False
    return True


@contextmanager
def locked(path: Path, *, wait: bool = True, busy: Callable[[], None] | None = None) -> Iterator[int | None]:
    """Create and lock a file; yield its descriptor, or None if another process has the lock.

    On a file system without locks, every process gets it: most people work alone.

    Args:
        path: the file.
        wait: wait for the other process.
        busy: called after two seconds of waiting; by default, it prints a line.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        if not wait_for(file, QUIET_S if wait else 0):
            if not wait:
                yield None
                return
            (busy or partial(complain, f"{path}: another process has locked it; waiting. {HINT}"))()
            wait_for(file, math.inf)
        yield file.fileno()


def wait_for(file: IO[Any] | int, seconds: float) -> bool:
    """Try for some seconds to take an exclusive lock; return whether this process has it."""
    until = time.monotonic() + seconds
    while True:
        with suppress(BlockingIOError):
            take(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(0.1)
