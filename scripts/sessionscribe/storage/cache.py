"""Copies of remote recordings, kept on this machine for a while and never beyond a limit.

The folder is the index, so nothing can disagree with the files: a file's name is its key, and its time is
that of its last use (in the future if it was fetched ahead and is not used yet). Readers hold a shared kernel
lock on a copy, so several processes can use the cache, and a killed process leaves nothing locked.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from sessionscribe.core import locks
from sessionscribe.core.errors import UserError

GUARD, HITS, MISSES, INCOMING = ".lock", ".hits", ".misses", ".incoming-"

OURS = re.compile(r"[0-9a-f]{24}(\..*)?", re.DOTALL)
"""Names of copies; other files in the folder are not touched."""


class Counts(NamedTuple):
    """How often a copy was in the cache when it was needed, and how often not."""

    hits: int
    misses: int

    @property
    def hit_rate(self) -> float:
        """The share of hits among all uses."""
        return self.hits / max(1, self.hits + self.misses)


class Copy(NamedTuple):
    """A recording in the cache: its last use (seconds since the epoch), its size (bytes), its file."""

    used: float
    size: int
    path: Path

    @property
    def waits(self) -> bool:
        """Whether it was fetched ahead and has not been used yet."""
        return self.used > time.time()


class Cache:
    """A folder with copies of recordings.

    Args:
        folder: the folder.
        max_bytes: the largest total size, including copies that are being fetched.
        max_age_s: copies that have not been used for longer are removed.
    """

    def __init__(self, folder: Path, *, max_bytes: int, max_age_s: float) -> None:
        self.folder, self._max_bytes, self._max_age_s = folder, max_bytes, max_age_s

    def path(self, key: str, suffix: str = "") -> Path:
        """Return the path of the copy with a key, whether or not it exists."""
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}{suffix}"

    @contextlib.contextmanager
    def use(
        self, path: Path, size: int, fetch: Callable[[Path], None], *, ahead: bool = False
    ) -> Iterator[Path | None]:
        """Yield a recording's copy, which is fetched if necessary and kept until the block ends.

        Yields None if it does not fit, even without all copies that are not being read.

        Args:
            path: from ``path()``.
            size: the size of the recording, in bytes.
            fetch: writes the whole recording to a path, or raises.
            ahead: another job will need it soon: displace no copy that waits for that, too, and do not count
                this as its use.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._pinned(path, size, first_use=not ahead) as there:
            if not ahead:
                with (self.folder / (HITS if there else MISSES)).open("ab") as count:
                    count.write(b".")  # one byte per use, as several processes may append
            if there:
                yield path
                return
        if not self._fetch(path, size, fetch, ahead=ahead):
            yield None
            return
        with self._pinned(path, size, first_use=not ahead) as there:
            yield path if there else None

    def discard(self, path: Path) -> bool:
        """Remove a copy unless it is being read; return whether it is gone."""
        with self._guarded():
            return self._remove(path)

    def counts(self) -> Counts:
        """Return the hits and misses so far."""
        return Counts(*(max(0, _size(self.folder / name)) for name in (HITS, MISSES)))

    def copies(self) -> list[Copy]:
        """Return the copies: the least recently used first, those that wait for their first use last."""
        found: list[Copy] = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                if OURS.fullmatch(entry.name) and entry.is_file():
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat()
                        found.append(Copy(status.st_mtime, status.st_size, Path(entry.path)))
        return sorted(found)

    def tidy(self) -> None:
        """Remove old copies, and what killed processes have left."""
        # Without locks there are no copies, which is fine if everything is streamed.
        with contextlib.suppress(UserError), self._guarded():
            self._make_room(0, ahead=False)

    def _fetch(self, path: Path, size: int, fetch: Callable[[Path], None], *, ahead: bool) -> bool:
        with self._ticket(path) as ticket:
            if _size(path) == size:
                return True
            with self._guarded():
                if not self._make_room(size, ahead=ahead):
                    return False
                os.write(ticket, b"%d" % size)  # reserves the room
            part = self.folder / f"{INCOMING}{path.stem}.part"
            part.mkdir(exist_ok=True)
            try:
                fetch(part / path.name)
                used = time.time() + (self._max_age_s if ahead else 0)
                os.utime(part / path.name, (used, used))
                with self._guarded():
                    (part / path.name).replace(path)
                    os.ftruncate(ticket, 0)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        return True

    @contextlib.contextmanager
    def _ticket(self, path: Path) -> Iterator[int]:
        """Hold the right to fetch a recording; others that want the same one wait until it is here."""
        place = self.folder / f"{INCOMING}{path.stem}"
        while True:
            with place.open("a+b") as file:
                self._lock(file, fcntl.LOCK_EX)
                if os.fstat(file.fileno()).st_nlink == 0:
                    continue  # its last holder has removed it
                try:
                    yield file.fileno()
                finally:
                    place.unlink(missing_ok=True)
                return

    @contextlib.contextmanager
    def _pinned(self, path: Path, size: int, *, first_use: bool) -> Iterator[bool]:
        """Hold a complete copy for reading; yields whether there is one."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            yield False
            return
        with file:
            self._lock(file, fcntl.LOCK_SH)
            status = os.fstat(file.fileno())
            if status.st_nlink == 0 or status.st_size != size:  # removed since, or not ours
                yield False
                return
            if first_use:
                with contextlib.suppress(FileNotFoundError):
                    os.utime(path)
            yield True

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Keep other processes from adding or removing copies."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / GUARD).open("w") as file:
            self._lock(file, fcntl.LOCK_EX)
            yield

    def _lock(self, file: IO[bytes] | IO[str], how: int) -> None:
        # Without locks, copies could be removed while being read, or taken for leftovers while being fetched.
        if not locks.take(file, how):
            what = "has no file locks, which the cache of recordings requires"
            hint = "Set `ingest.cache.folder` to a folder on a local disk, or `ingest.mode: stream`"
            raise UserError(what, where=self.folder, hint=hint)

    def _make_room(self, size: int, *, ahead: bool) -> bool:
        """Remove old copies, and the least recently used until ``size`` bytes fit; return whether they do.

        Copies that wait for their first use are not removed to fetch another one ``ahead``.
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
        return total + size <= self._max_bytes

    def _incoming(self) -> int:
        """Return the bytes reserved for copies being fetched; remove what killed transfers have left."""
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
        """Remove a copy unless it is being read; return whether it is gone."""
        try:
            with path.open("r+b") as file:  # NFS has no exclusive locks on files opened for reading
                self._lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
        except FileNotFoundError:
            return True
        except BlockingIOError:
            return False
        return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1
