"""The state that one running Snakemake keeps in a project folder, and what a killed one leaves behind."""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sessionscribe.core import locks
from sessionscribe.core.files import write_text

AT_WORK = "sessionscribe.at-work"
NO_CONTAINER = "pid:[4026531836]"
"""What the kernel calls the set of processes that a machine starts with."""
ROOM = 1 << 16
"""Bytes that there has to be room for: less than one log of Snakemake."""
_held: list[int] = []


@dataclass(frozen=True)
class Owner:
    """A main process of Snakemake in this folder.

    Args:
        pid: its number.
        began: when it did, in the kernel's ticks since the start of the machine.
        machine: what of it may be compared with: the boot, and the set of processes (a container's own).
        host: the machine's name.
    """

    pid: int
    began: str
    machine: tuple[str, str]
    host: str

    @classmethod
    def present(cls) -> Owner:
        """Return this process."""
        boot = processes = ""
        with suppress(OSError):  # no /proc
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
            processes = os.readlink("/proc/self/ns/pid")
        return cls(os.getpid(), _began(os.getpid()), (boot, processes), socket.gethostname())

    @classmethod
    def read(cls, note: Path) -> Owner | None:
        """Return the one that left a note; None if nothing can be read there."""
        with suppress(OSError, ValueError, TypeError):
            found = cls(**json.loads(note.read_bytes()))
            return cls(found.pid, found.began, (found.machine[0], found.machine[1]), found.host)
        return None

    @property
    def is_here(self) -> bool:
        """Whether it is among the processes that this one sees."""
        here = Owner.present()
        return (self.host, self.machine) == (here.host, here.machine)

    @property
    def is_dead(self) -> bool:
        """Whether it surely is; False where that cannot be told from here."""
        here = Owner.present()
        if self.is_here:
            return _began(self.pid) != self.began
        # The machine was started again; of containers, several machines may have one of this name.
        restarted = self.host == here.host and self.machine[0] != here.machine[0]
        return restarted and self.machine[1] == NO_CONTAINER


def _began(pid: int) -> str:
    """Return when a process began, in ticks; "" if there is none, or it is dead and nobody collected it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def release_stale_locks(folder: Path) -> None:
    """Remove Snakemake's lock files in ``folder`` (``.snakemake``) if the Snakemake that made them is dead.

    Each of our main processes shares a kernel lock on one file for as long as it lives. Whoever gets it
    exclusively knows that no other one is running. On a file system without such locks the notes that each
    leaves of itself tell that, as far as they are of this machine; else Snakemake's locks stay in force.
    """
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder / "sessionscribe.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    _held.append(descriptor)  # until this process ends
    _leave_note(folder / AT_WORK)
    try:
        alone = locks.take(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB) or not at_work(folder)
    except OSError:
        alone = False
    if alone:
        for lock in (folder / "locks").glob("*.lock"):
            lock.unlink(missing_ok=True)
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_SH)


def check_writable(folders: Iterable[Path]) -> None:
    """Write to each folder, or above it, and take that back: Snakemake's own words on a disk are a traceback.

    Raises:
        OSError: a disk is full, or cannot be written to.
    """
    for folder in folders:
        probe = (folder if folder.is_dir() else folder.parent) / f".sessionscribe-{os.getpid()}"
        try:
            probe.write_bytes(bytes(ROOM))
        except OSError as error:
            error.filename = error.filename or str(probe)
            raise
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)


def _leave_note(folder: Path) -> None:
    """Note that this process is at work, until it ends."""
    own = Owner.present()
    note = folder / f"{own.host}-{own.pid}-{own.began}.json"
    with suppress(OSError):  # a run on a full disk says so itself
        write_text(note, json.dumps(asdict(own)) + "\n")
        atexit.register(note.unlink, missing_ok=True)


def at_work(folder: Path) -> dict[Path, Owner]:
    """Return the other main processes that may be at work in ``folder``, by their notes.

    The notes of those that are surely dead are removed.
    """
    found = {}
    for note in sorted((folder / AT_WORK).glob("[!.]*.json")):
        owner = Owner.read(note)
        if owner is None or owner.is_dead:
            note.unlink(missing_ok=True)
        elif owner != Owner.present():
            found[note] = owner
    return found


def bring_to_present(paths: Iterable[str]) -> None:
    """Give files whose time lies in the future the present one.

    Snakemake takes an output that is older than an input for a fault of the clocks, and fails the job. Copies
    from elsewhere may have any time, and times mean nothing here.
    """
    now = time.time()
    for path in paths:
        with suppress(OSError):  # not ours to change, or gone: the job will tell
            if os.stat(path).st_mtime > now:
                os.utime(path, (now, now))
