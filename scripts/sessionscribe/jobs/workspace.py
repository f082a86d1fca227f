"""The state that one running Snakemake keeps in a project folder, and what a killed one leaves behind."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from sessionscribe.core import locks

AT_WORK = "sessionscribe.pid"
_held: list[int] = []


def release_stale_locks(folder: Path) -> None:
    """Remove Snakemake's lock files in ``folder`` (``.snakemake``) if the Snakemake that made them is dead.

    Each of our main processes shares a kernel lock on one file for as long as it lives, whatever ends it. Who
    gets it for itself alone knows that no other one is running; else, as on a file system without such locks,
    Snakemake's own stay in force.
    """
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder / "sessionscribe.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    _held.append(descriptor)  # until this process ends
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pass
    else:
        for lock in (folder / "locks").glob("*.lock"):
            lock.unlink(missing_ok=True)
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_SH)


def note_at_work(folder: Path) -> None:
    """Note in ``folder`` (``.snakemake``) that this process has Snakemake's lock, until it ends."""
    descriptor = os.open(folder / AT_WORK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    _held.append(descriptor)  # until this process ends
    with suppress(OSError):
        locks.take(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())


def at_work(folder: Path) -> int | None:
    """Return the process that has Snakemake's lock in ``folder``; None where that is not known."""
    with suppress(OSError), (folder / AT_WORK).open(encoding="ascii") as file:
        try:
            locks.take(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:  # else a process that has ended wrote it, or there are no locks here
            noted = file.read()
            return int(noted) if noted.isdecimal() else None
    return None


def bring_to_present(paths: Iterable[str]) -> None:
    """Give files whose time lies in the future the present one.

    Snakemake takes an output that is older than an input for a fault of the clocks, and fails the job. Copies
    from elsewhere have any times; here none means anything.
    """
    now = time.time()
    for path in paths:
        with suppress(OSError):  # not ours to change, or gone: the job will tell
            if os.stat(path).st_mtime > now:
                os.utime(path, (now, now))
