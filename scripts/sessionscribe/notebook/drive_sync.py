"""Copies files to a folder that may lose them, until they are known to have arrived."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class SyncProgress:
    """The files that have arrived, those that are not known to have arrived, and the last problem."""

    arrived: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    problem: str = ""

    def __str__(self) -> str:
        waiting = f", {len(self.waiting)} on the way" if self.waiting else ""
        problem = f" ({self.problem})" if self.problem else ""
        return f"{len(self.arrived)} saves on Drive{waiting}{problem}"


class DriveSync:
    """Copies each ZIP file of a folder to another folder, and again under another name if it gets lost.

    A copy has its name only when it is complete. Copies that exist at the start, such as after a restart of
    the kernel, are not made again.

    Args:
        source: a folder with files that never change.
        target: the folder to copy to.
        has_arrived: returns whether a copy is stored safely, or None if unknown; then a copy counts as safe
            if it still exists after ``patience_s``.
        patience_s: seconds after which a copy that has not arrived is repeated.
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
        self._sent: dict[str, tuple[Path, float, int]] = {}  # copy, time, number of attempts
        self._done: set[str] = set()
        self._problem = ""

    def sync(self) -> int:
        """Copy new and lost files; return how many more files have arrived.

        Raises:
            OSError: the target cannot be written; the next call tries again.
        """
        before, self._problem = len(self._done), ""
        for file in sorted(self._source.glob("*.zip")):
            if file.name in self._done:
                continue
            copy, when, attempts = self._sent.get(file.name, (self._target / file.name, time.monotonic(), 0))
            arrived, late = self._has_arrived(copy), time.monotonic() - when > self._patience_s
            if not _is_complete(copy, file) or (late and arrived is False):
                self._send(file, attempts + 1)
            elif arrived or (late and arrived is None):
                self._done.add(file.name)
            else:
                self._sent[file.name] = (copy, when, max(1, attempts))
        return len(self._done) - before

    def get_progress(self) -> SyncProgress:
        """Return which files have arrived."""
        names = sorted(path.name for path in self._source.glob("*.zip"))
        waiting = [name for name in names if name not in self._done]
        return SyncProgress([name for name in names if name in self._done], waiting, self._problem)

    def wait(self, seconds: float, interval_s: float = 2.0) -> bool:
        """Sync until everything has arrived; return whether it has within this time."""
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
        self._sent[file.name] = (self._target / name, time.monotonic(), attempt)


def _is_complete(copy: Path, file: Path) -> bool:
    try:
        return copy.stat().st_size == file.stat().st_size
    except OSError:
        return False
