"""Copies of remote recordings, kept on this machine for a while and never beyond a limit.

The folder is the index: a file's name is its key, its time when it was last used, a shared kernel lock on it
says that somebody reads it, and an empty file beside it that it waits for its first reader. So there is
nothing that could disagree with the files, several processes may use one cache, and what a killed one held is
free.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

from sessionscribe.core import locks
from sessionscribe.core.errors import UserError

GUARD, COUNTS, INCOMING, WAITING = ".lock", ".counts.json", ".incoming-", ".waiting-"

OURS = re.compile(r"[0-9a-f]{24}(\..*)?", re.DOTALL)
"""Names of copies; what else may lie in the folder is not touched."""


@dataclass(frozen=True)
class Counts:
    """What a cache did so far: how often (and for how many bytes) a copy was there, or was not."""

    hits: int = 0
    misses: int = 0
    hit_bytes: int = 0
    miss_bytes: int = 0
    evicted: int = 0
    evicted_bytes: int = 0

    @property
    def hit_rate(self) -> float:
        """The share of uses for which a copy was there."""
        return self.hits / max(1, self.hits + self.misses)


@dataclass(frozen=True)
class Copy:
    """A recording in the cache: its file, size in bytes, when it was last used (seconds since 1970).

    ``waits`` if it was fetched ahead and nobody has used it yet.
    """

    path: Path
    size: int
    used: float
    waits: bool


class Cache:
    """A folder with copies of recordings.

    Args:
        folder: where they lie.
        max_bytes: all of them together, those that are on their way included, never take more.
        max_age_s: copies that nobody used for longer are removed.
    """

    def __init__(self, folder: Path, *, max_bytes: int, max_age_s: float) -> None:
        self.folder, self._max_bytes, self._max_age_s = folder, max_bytes, max_age_s

    def path(self, key: str, suffix: str = "") -> Path:
        """Return where the recording of a key lies, or would."""
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}{suffix}"

    @contextlib.contextmanager
    def use(self, path: Path, size: int, fetch: Callable[[Path], None]) -> Iterator[Path | None]:
        """Yield a recording's copy, fetched first if it is not there; it stays until the block ends.

        Yields None where it does not fit in, even with all removed that nobody reads.

        Args:
            path: as ``path()`` gives it.
            size: of the recording, in bytes.
            fetch: puts the whole recording at a path, or raises.
        """
        with self._pinned(path, size) as there:
            kind = "hit_bytes" if there else "miss_bytes"
            self._count(hits=int(there), misses=int(not there), **{kind: size})
            if there:
                yield path
                return
        if not self._fetch(path, size, fetch, ahead=False):
            yield None
            return
        with self._pinned(path, size) as there:
            yield path if there else None

    def prefetch(self, path: Path, size: int, fetch: Callable[[Path], None]) -> bool:
        """Fetch a recording that is needed soon, where it displaces none that is needed too.

        Returns whether it is there.
        """
        return _size(path) == size or self._fetch(path, size, fetch, ahead=True)

    @contextlib.contextmanager
    def look(self, path: Path, size: int) -> Iterator[bool]:
        """Keep a copy from going until the block ends, without using it up; yields whether it is there."""
        with self._pinned(path, size, first_use=False) as there:
            yield there

    def discard(self, path: Path) -> bool:
        """Remove a copy that nobody reads; return whether it is gone."""
        with self._guarded():
            return self._remove(path)

    def counts(self) -> Counts:
        """Return what the cache did so far."""
        try:
            return Counts(**json.loads((self.folder / COUNTS).read_bytes()))
        except (OSError, ValueError, TypeError):
            return Counts()

    def copies(self) -> list[Copy]:
        """Return what is there: first what has been used, the longest unused first, then what waits."""
        found: list[Copy] = []
        waiting: set[str] = set()
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.startswith(WAITING):
                    waiting.add(entry.name.removeprefix(WAITING))
                elif OURS.fullmatch(entry.name) and entry.is_file():
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat()
                        found.append(Copy(Path(entry.path), status.st_size, status.st_mtime, False))
        found = [replace(copy, waits=copy.path.stem in waiting) for copy in found]
        return sorted(found, key=lambda copy: (copy.waits, copy.used))

    def tidy(self) -> None:
        """Remove what is too old, and what killed processes left behind."""
        # Where there are no locks nothing is kept: this must not be the end of who has all streamed.
        with contextlib.suppress(UserError), self._guarded():
            self._make_room(0, ahead=False)

    def _fetch(self, path: Path, size: int, fetch: Callable[[Path], None], *, ahead: bool) -> bool:
        with self._ticket(path) as ticket:
            if _size(path) == size:
                return True
            with self._guarded():
                if not self._make_room(size, ahead=ahead):
                    return False
                os.write(ticket, b"%d" % size)  # room that is taken
            part = self.folder / f"{INCOMING}{path.stem}.part"
            part.mkdir(exist_ok=True)
            try:
                fetch(part / path.name)
                os.utime(part / path.name)
                if ahead:
                    (self.folder / f"{WAITING}{path.stem}").touch()
                with self._guarded():
                    (part / path.name).replace(path)
                    os.ftruncate(ticket, 0)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        return True

    @contextlib.contextmanager
    def _ticket(self, path: Path) -> Iterator[int]:
        """Hold the right to fetch a recording; who else wants the same waits here until it is there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        place = self.folder / f"{INCOMING}{path.stem}"
        while True:
            with place.open("a+b") as file:
                self._lock(file, fcntl.LOCK_EX)
                if os.fstat(file.fileno()).st_nlink == 0:
                    continue  # the one before us is done with it, and it is no longer where others look
                try:
                    yield file.fileno()
                finally:
                    place.unlink(missing_ok=True)
                return

    @contextlib.contextmanager
    def _pinned(self, path: Path, size: int, *, first_use: bool = True) -> Iterator[bool]:
        """Hold a whole copy for reading; yields whether there is one."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            yield False
            return
        with file:
            self._lock(file, fcntl.LOCK_SH)
            status = os.fstat(file.fileno())
            if status.st_nlink == 0 or status.st_size != size:  # removed meanwhile; not ours
                yield False
                return
            if first_use:
                with contextlib.suppress(FileNotFoundError):
                    os.utime(path)
                (self.folder / f"{WAITING}{path.stem}").unlink(missing_ok=True)
            yield True

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Keep other processes waiting that decide what to remove, or count."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / GUARD).open("w") as file:
            self._lock(file, fcntl.LOCK_EX)
            yield

    def _lock(self, file: IO[bytes] | IO[str], how: int) -> None:
        # Without locks a copy would go while it is read, and one on its way would be taken for a leftover.
        if not locks.take(file, how):
            what = "has no file locks, without which copies of recordings cannot be shared between jobs"
            hint = "Set `ingest.cache.folder` to a folder on a disk of this machine, or `ingest.mode: stream`"
            raise UserError(what, where=self.folder, hint=hint)

    def _make_room(self, size: int, *, ahead: bool) -> bool:
        """Remove what is too old, and the longest unused until ``size`` more bytes fit; return if they do.

        To fetch something ahead, nothing that waits for its first use is removed.
        """
        copies = self.copies()
        total = sum(copy.size for copy in copies) + self._incoming()
        oldest = time.time() - self._max_age_s
        removable = sum(copy.size for copy in copies if not (ahead and copy.waits))
        helps = total + size - removable <= self._max_bytes
        for copy in copies:
            in_the_way = helps and total + size > self._max_bytes and not (ahead and copy.waits)
            if (in_the_way or copy.used < oldest) and self._remove(copy.path):
                total -= copy.size
                self._add(evicted=1, evicted_bytes=copy.size)
        return total + size <= self._max_bytes

    def _incoming(self) -> int:
        """Return how many bytes are on their way; remove what is left of transfers that were killed."""
        total = 0
        for place in self.folder.glob(f"{INCOMING}*"):
            if place.suffix == ".part":
                if not place.with_suffix("").exists():
                    shutil.rmtree(place, ignore_errors=True)
                continue
            with contextlib.suppress(FileNotFoundError), place.open("r+b") as ticket:
                try:
                    self._lock(ticket, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    total += int(ticket.read() or 0)
                else:
                    shutil.rmtree(place.with_suffix(".part"), ignore_errors=True)
                    place.unlink(missing_ok=True)
        return total

    def _remove(self, path: Path) -> bool:
        """Remove a copy unless somebody reads it."""
        try:
            with path.open("r+b") as file:  # NFS has no lock of this kind on what is open for reading only
                self._lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                (self.folder / f"{WAITING}{path.stem}").unlink(missing_ok=True)
        except FileNotFoundError:
            return True
        except BlockingIOError:
            return False
        return True

    def _count(self, **more: int) -> None:
        with self._guarded():
            self._add(**more)

    def _add(self, **more: int) -> None:
        counts = self.counts()
        counts = replace(counts, **{name: getattr(counts, name) + value for name, value in more.items()})
        # Not synced: after a power cut the counts may begin anew.
        (self.folder / COUNTS).write_text(json.dumps(asdict(counts)), encoding="utf-8")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1
