"""What a running Snakemake keeps in a project's folder, and what a killed one leaves behind."""

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
"""The kernel's name for the PID namespace in which a machine starts."""
ROOM = 1 << 16
"""Bytes that must be free; less than Snakemake's log takes."""
_held: list[int] = []


@dataclass(frozen=True)
class Owner:
    """A main process of Snakemake in this folder.

    Args:
        pid: its process id.
        began: its start, in the kernel's ticks since the start of the machine.
        boot: the id of the machine's current boot.
        namespace: the PID namespace, of which each container has its own.
        host: the machine's name.
    """

    pid: int
    began: str
    boot: str
    namespace: str
    host: str

    @classmethod
    def present(cls) -> Owner:
        """Return this process."""
        boot = namespace = ""
        with suppress(OSError):  # no /proc
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
            namespace = os.readlink("/proc/self/ns/pid")
        return cls(os.getpid(), _began(os.getpid()), boot, namespace, socket.gethostname())

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine, in this container."""
        here = Owner.present()
        return (self.host, self.boot, self.namespace) == (here.host, here.boot, here.namespace)

    @property
    def is_dead(self) -> bool:
        """Whether it has certainly ended; False if unknown."""
        if self.is_here:
            return _began(self.pid) != self.began
        # The machine has been restarted; containers of several machines may share a name.
        here = Owner.present()
        return self.host == here.host and self.boot != here.boot and self.namespace == NO_CONTAINER


def _began(pid: int) -> str:
    """Return the start of a process in ticks, or "" if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def release_stale_locks(folder: Path) -> None:
    """Remove Snakemake's lock files in ``folder`` (``.snakemake``) if no Snakemake is running there.

    Each main process holds a shared kernel lock for as long as it lives, so whoever gets it exclusively is
    alone. On a file system without kernel locks, the notes of all processes decide, as far as they are of
    this machine; otherwise Snakemake's locks remain.
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
    """Write a test file to each folder (or its parent, if it is missing): Snakemake would show a traceback.

    Raises:
        OSError: a disk is full or cannot be written.
    """
    for folder in folders:
        probe = (folder if folder.is_dir() else folder.parent) / f".sessionscribe-{os.getpid()}"
        try:
            probe.write_bytes(bytes(ROOM))
        except OSError as error:
            error.filename = str(probe.parent.absolute())
            raise
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)


def _leave_note(folder: Path) -> None:
    """Leave a note of this process, until it ends."""
    own = Owner.present()
    note = folder / f"{own.host}-{own.pid}-{own.began}.json"
    with suppress(OSError):  # a full disk: the run reports it
        write_text(note, json.dumps(asdict(own)) + "\n")
        atexit.register(note.unlink, missing_ok=True)


def at_work(folder: Path) -> dict[Path, Owner]:
    """Return the other main processes that may be running in ``folder``, by note; remove other notes."""
    found = {}
    for note in sorted((folder / AT_WORK).glob("[!.]*.json")):
        owner = None
        with suppress(OSError, ValueError, TypeError):  # it was removed, or is not a note
            owner = Owner(**json.loads(note.read_bytes()))
        if owner is None or owner.is_dead:
            note.unlink(missing_ok=True)
        elif owner != Owner.present():
            found[note] = owner
    return found


def bring_to_present(paths: Iterable[str]) -> None:
    """Set file times in the future to now: Snakemake fails jobs whose outputs are older than their inputs."""
    now = time.time()
    for path in paths:
        with suppress(OSError):  # not our file, or gone: the job will report it
            if os.stat(path).st_mtime > now:
                os.utime(path, (now, now))
