"""Files that are written once, brought to a folder that may lose them, until they are known to be there."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class SyncProgress:
    """How far a ``DriveSync`` is: files that have arrived, and those that are not known to have."""

    arrived: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    problem: str = ""

    def __str__(self) -> str:
        waiting = f", {len(self.waiting)} on the way" if self.waiting else ""
        problem = f" ({self.problem})" if self.problem else ""
        return f"{len(self.arrived)} saves on Drive{waiting}{problem}"


class DriveSync:
    """Copies the files of a folder to another, each once, and again under another name if it got lost.

    A copy has its name only when all of it is written. After a restart of the kernel it goes on where it was:
    what lies in both folders is not copied again.

    Args:
        source: where files appear that never change.
        target: the folder that stays.
        has_arrived: says of a copy whether it will stay; None: nobody knows, and then a listing after
            ``patience_s`` decides.
        patience_s: how long a copy may take to arrive before it is sent again, in seconds.
    """

    def __init__(
        self,
        source: Path,
        target: Path,
        has_arrived: Callable[[Path], bool | None],
        patience_s: float = 600.0,
    ) -> None:
        self._source, self._target = source, target
        self._has_arrived, self._patience_s = has_arrived, patience_s
        self._sent: dict[str, tuple[str, float, int]] = {}  # its name there, when, how often
        self._done: set[str] = set()
        self._problem = ""

    def sync(self) -> int:
        """Copy what is new or got lost; return how many files are now known to have arrived that were not.

        Raises:
            OSError: the folder cannot be written; the next call tries again.
        """
        before, self._problem = len(self._done), ""
        for file in sorted(self._source.glob("*.zip")):
            if file.name in self._done:
                continue
            sent = self._sent.get(file.name)
            if sent is None and self._is_whole(self._target / file.name, file):
                sent = self._sent[file.name] = (file.name, time.monotonic(), 1)
            if sent is None or self._is_lost(file, *sent[:2]):
                self._send(file, sent[2] + 1 if sent else 1)
            elif self._is_there(file, *sent[:2]):
                self._done.add(file.name)
        return len(self._done) - before

    def get_progress(self) -> SyncProgress:
        """Return what has arrived and what has not."""
        names = sorted(path.name for path in self._source.glob("*.zip"))
        waiting = [name for name in names if name not in self._done]
        return SyncProgress([name for name in names if name in self._done], waiting, self._problem)

    def wait(self, seconds: float, interval_s: float = 2.0) -> bool:
        """Sync until everything has arrived; return whether it did in this time."""
        end = time.monotonic() + seconds
        while True:
            try:
                self.sync()
            except OSError as error:
                self._problem = error.strerror or str(error)
            if not self.get_progress().waiting:
                return True
            if time.monotonic() >= end:
                return False
            time.sleep(min(interval_s, max(0.0, end - time.monotonic())))

    def _send(self, file: Path, attempt: int) -> None:
        name = file.name if attempt == 1 else f"{file.stem}.again-{attempt}.zip"
        hidden = self._target / f".{name}.part"
        try:
            shutil.copyfile(file, hidden)
            with hidden.open("rb") as written:
                os.fsync(written.fileno())
            hidden.replace(self._target / name)
        except OSError as error:
            self._problem = error.strerror or str(error)
            hidden.unlink(missing_ok=True)
            raise
        self._sent[file.name] = (name, time.monotonic(), attempt)

    def _is_there(self, file: Path, name: str, when: float) -> bool:
        copy = self._target / name
        arrived = self._has_arrived(copy)
        if arrived is None:
            arrived = time.monotonic() - when > self._patience_s
        return arrived and self._is_whole(copy, file)

    def _is_lost(self, file: Path, name: str, when: float) -> bool:
        """Return whether a copy is gone or cut short, or has not arrived for too long."""
        copy = self._target / name
        late = self._has_arrived(copy) is False and time.monotonic() - when > self._patience_s
        return late or not self._is_whole(copy, file)

    @staticmethod
    def _is_whole(copy: Path, file: Path) -> bool:
        try:
            return copy.stat().st_size == file.stat().st_size
        except OSError:
            return False
