"""A mailbox: a folder or remote through which machines that cannot reach each other exchange files.

One listing of the names is enough to know the state:

- ``requests/{job}.json``: a job that is waiting or running; its name begins with the id of its home.
- ``files/{home}/{sha256}``: a file that its jobs read or made, by content.
- ``claims/{job}/{worker}``: a worker that takes the job; the first one by name runs it, others withdraw.
- ``results/{job}/{worker}.json``: the reply.
- ``homes/{home}/{time}``, ``workers/{worker}/{time}``: heartbeats.

Locks and synchronous clocks are not needed: a job may run twice, and the first complete result counts.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sessionscribe.core.files import atomic_path, sha256
from sessionscribe.storage import rclone
from sessionscribe.storage.locations import is_remote, join, rclone_path

LARGEST = 64 << 20
"""Maximum size in bytes of what others write and is read into memory."""
CALL_S = 600.0
"""Time limit of a call of rclone in seconds, enough for a slice of 30 MB at 50 kB/s."""
LIST = ("--recursive", "--files-only", "--format=sp", "--separator=/")
POLL_S, SLOWEST_POLL_S = 1.0, 10.0
HEARTBEAT_S, LEASE_S = 30.0, 180.0
"""The interval of heartbeats; whoever has sent none for the lease is gone."""
UNREACHABLE_S = 600.0
"""After this time without access to the mailbox, the jobs of this side are dropped."""
DIGEST = re.compile(r"[0-9a-f]{64}")


class Mailbox:
    """The files in a mailbox: a folder, ``remote:path`` or ``s3://bucket/path``."""

    def __init__(self, place: str) -> None:
        self._remote = is_remote(place)
        self.place = place if self._remote else str(Path(place).expanduser())
        self._calling = threading.Lock()  # one call at a time: some servers fail with several

    def names(self) -> dict[str, int]:
        """Return the names of all files, with their sizes in bytes.

        Raises:
            UserError, OSError: the mailbox cannot be read.
        """
        if not self._remote:
            root, sizes = Path(self.place), dict[str, int]()
            for path in root.rglob("[!.]*"):
                with suppress(FileNotFoundError):  # it has just been removed
                    if path.is_file():
                        sizes[path.relative_to(root).as_posix()] = path.stat().st_size
            return sizes
        try:
            text = self._rclone("lsf", self._path(""), *LIST)
        except rclone.RcloneError as error:
            if error.reason == "missing":  # nobody has written anything yet
                return {}
            raise
        lines = (line.partition("/") for line in text.decode(errors="replace").splitlines())
        return {name: int(size) for size, _, name in lines if size.isdigit()}  # a name may have line breaks

    def put(self, files: Mapping[str, Path]) -> None:
        """Copy local files into the mailbox, given by their names there."""
        with tempfile.TemporaryDirectory() as folder:
            for name, path in files.items():
                if self._remote:
                    link = Path(folder, name)
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to(path.absolute())
                else:
                    with atomic_path(Path(self.place) / name) as temporary:
                        shutil.copyfile(path, temporary)
            if self._remote and files:
                self._rclone("copy", folder, self._path(""), "--copy-links", "--no-traverse")

    def get(self, folder: str, names: Iterable[str], into: Path) -> None:
        """Copy files of a folder in the mailbox to a local folder, as far as they exist."""
        if self._remote:
            self._rclone("copy", self._path(folder), str(into.absolute()), "--no-traverse", names=names)
            return
        for name in names:
            with suppress(FileNotFoundError):
                shutil.copyfile(Path(self.place, folder, name), into / name)

    def get_contents(self, home: str, digests: Iterable[str], into: Path) -> None:
        """Copy files of a home's jobs, given by SHA-256, to a local folder, as far as they arrive intact."""
        with tempfile.TemporaryDirectory(dir=into) as arriving:
            self.get(f"files/{home}", digests, Path(arriving))
            for path in Path(arriving).iterdir():
                if sha256(path) == path.name:
                    path.replace(into / path.name)

    def write(self, name: str, content: Any) -> None:
        """Write a JSON file."""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as file:
            json.dump(content, file)
            file.flush()
            self.put({name: Path(file.name)})

    def read(self, name: str) -> dict[str, Any] | None:
        """Return the object in a JSON file, or None if it is missing or incomplete."""
        folder, _, file = name.rpartition("/")
        with tempfile.TemporaryDirectory() as arriving:
            path = Path(arriving, file)
            self.get(folder, [file], path.parent)
            try:
                found = json.loads(path.read_bytes()) if path.stat().st_size <= LARGEST else None
            except (FileNotFoundError, ValueError, RecursionError):
                return None
        return found if isinstance(found, dict) else None

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, as far as they exist."""
        if self._remote:
            self._rclone("delete", self._path(""), names=names)
            return
        for name in names:
            Path(self.place, name).unlink(missing_ok=True)

    def _path(self, name: str) -> str:
        return rclone_path(join(self.place, name) if name else self.place)

    def _rclone(self, command: str, *arguments: str, names: Iterable[str] | None = None) -> bytes:
        """Run rclone, on these files only if ``names`` is given; return its output."""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file, self._calling:
            if names is not None:
                if not (lines := "".join(f"{name}\n" for name in names)):
                    return b""
                file.write(lines)
                file.flush()
                arguments = (*arguments, f"--files-from-raw={file.name}")
            return rclone.run(command, *arguments, where=self.place, patience=rclone.HASTE, limit_s=CALL_S)


class Heartbeat:
    """Shows that ``homes/{home}`` or ``workers/{worker}`` is alive, by regular calls of ``renew``."""

    def __init__(self, mailbox: Mailbox, name: str) -> None:
        self._mailbox, self._name = mailbox, name
        self._current, self._last = "", float("-inf")

    def renew(self) -> None:
        """Send a heartbeat if one is due."""
        if time.monotonic() - self._last < HEARTBEAT_S:
            return
        before, self._current = self._current, f"{self._name}/{time.time_ns()}"
        self._mailbox.write(self._current, {})
        self._last = time.monotonic()
        if before:
            self._mailbox.remove([before])

    def end(self, names: Iterable[str]) -> None:
        """Remove all heartbeats; ``names`` are those in the mailbox."""
        self._mailbox.remove(name for name in names if name.startswith(f"{self._name}/"))


class Observer:
    """Finds out who is alive from the heartbeats in successive listings."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float]] = {}

    def alive(self, names: Iterable[str]) -> set[str]:
        """Return who is alive (``homes/{home}``, ``workers/{worker}``), given the names in the mailbox."""
        now, found = time.monotonic(), (name.rpartition("/") for name in sorted(names))
        latest = {who: beat for who, _, beat in found if who.startswith(("homes/", "workers/"))}
        for who, beat in latest.items():
            if who not in self._seen or self._seen[who][0] != beat:
                self._seen[who] = beat, now
        return {who for who in latest if now - self._seen[who][1] < LEASE_S}


def file_of(home: str, digest: str) -> str:
    """Return the name of a file that jobs of a home read or made."""
    return f"files/{home}/{digest}"


def home_of(job: str) -> str:
    """Return the home of a job."""
    return job.split("-", maxsplit=1)[0]


def workers_by_job(names: Iterable[str], kind: str) -> dict[str, list[str]]:
    """Return the workers with ``claims`` on, or ``results`` of, each job."""
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        parts = name.split("/")
        if parts[0] == kind and len(parts) == 3:
            found.setdefault(parts[1], []).append(parts[2].removesuffix(".json"))
    return found
