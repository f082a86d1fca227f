"""The state that one running Snakemake keeps in a project folder, and what a killed one leaves behind."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

_held: list[int] = []


def release_stale_locks(folder: Path) -> None:
    """Remove Snakemake's lock files in ``folder`` (``.snakemake``) if the Snakemake that made them is dead.

    Each of our main processes shares a kernel lock on one file for as long as it lives, whatever ends it. Who
    gets it for itself alone knows that no other one is running; else Snakemake's own locks stay in force.
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
    fcntl.flock(descriptor, fcntl.LOCK_SH)
