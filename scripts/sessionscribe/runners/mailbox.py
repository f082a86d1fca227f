"""A folder through which machines that cannot reach one another hand each other files: here, or on a remote.

The names of files say everything, so that one listing is enough:

- ``requests/{job}.json``: a job that waits or is worked on; a job's name begins with that of its home.
- ``files/{home}/{sha256}``: what its jobs read and made, by content.
- ``claims/{job}/{worker}``: who works on it. Of several the first by name goes on, the others let go.
- ``results/{job}/{worker}.json``: what came of it.
- ``homes/{home}/{count}``, ``workers/{worker}/{count}``: signs of life; the count grows.

Nothing here needs a lock or a clock: jobs may be done twice, and the first whole result counts.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sessionscribe.core.files import atomic_path, sha256
from sessionscribe.storage import rclone
from sessionscribe.storage.locations import is_remote, join, rclone_path

LARGEST = 64 << 20
"""Of what others write, and is read whole, in bytes."""
CALL_S = 600.0
"""No call of a remote takes longer, in seconds: a slice of 30 MB arrives within it at 50 kB/s."""
LIST = ("lsf", "--recursive", "--files-only", "--format=sp", "--separator=/")
POLL_S, SLOWEST_POLL_S = 1.0, 10.0
SIGN_S, LEASE_S = 30.0, 180.0
"""How often each side says that it is there; who has given no new sign for so long is gone."""
DIGEST = re.compile(r"[0-9a-f]{64}")


class Mailbox:
    """The files in a place.

    Args:
        place: a folder, ``remote:path`` or ``s3://bucket/path``.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._remote = is_remote(place)
        self._calling = threading.Lock()  # one call at a time: servers differ in how they bear several

    def names(self) -> dict[str, int]:
        """Return the names of all files, with their sizes in bytes.

        Raises:
            UserError, OSError: the place cannot be read.
        """
        if not self._remote:
            root = Path(self.place)
            found = (path for path in root.rglob("[!.]*") if path.is_file())
            return {path.relative_to(root).as_posix(): path.stat().st_size for path in found}
        try:
            text = self._rclone(*LIST, self._path(""))
        except rclone.RcloneError as error:
            if error.reason == "missing":  # nobody has written anything yet
                return {}
            raise
        sizes = (line.split("/", 1) for line in text.decode(errors="replace").splitlines())
        return {name: int(size) for size, name in sizes}

    def put(self, name: str, path: Path) -> None:
        """Copy a file of this machine to a name."""
        if self._remote:
            self._rclone("copyto", "--no-traverse", str(path.absolute()), self._path(name))
            return
        with atomic_path(Path(self.place) / name) as temporary:
            shutil.copyfile(path, temporary)

    def get(self, name: str, path: Path) -> None:
        """Copy a file to this machine; where it is not there, there is none afterwards."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if self._remote:
            self._rclone("copyto", "--no-traverse", self._path(name), str(path.absolute()))
        else:
            shutil.copyfile(Path(self.place) / name, path)

    def get_content(self, home: str, digest: str, path: Path) -> bool:
        """Copy a file of a home's jobs by its content; return whether that is what arrived."""
        self.get(file_of(home, digest), path)
        return path.is_file() and sha256(path) == digest

    def write(self, name: str, content: Any) -> None:
        """Write JSON to a name."""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as file:
            json.dump(content, file)
            file.flush()
            self.put(name, Path(file.name))

    def read(self, name: str) -> dict[str, Any] | None:
        """Return what JSON at a name says; None if it is not there, or not whole yet."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "content"
            try:
                self.get(name, path)
                if path.stat().st_size > LARGEST:
                    return None
                found = json.loads(path.read_bytes())
            except (FileNotFoundError, ValueError, RecursionError):
                return None
            except rclone.RcloneError as error:
                if error.reason == "missing":
                    return None
                raise
        return found if isinstance(found, dict) else None

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; what is gone already is no matter."""
        for name in names:
            if self._remote:
                try:
                    self._rclone("deletefile", self._path(name))
                except rclone.RcloneError as error:
                    if error.reason != "missing":
                        raise
            else:
                (Path(self.place) / name).unlink(missing_ok=True)

    def _path(self, name: str) -> str:
        return rclone_path(join(self.place, name) if name else self.place)

    def _rclone(self, command: str, *arguments: str) -> bytes:
        options = [argument for argument in arguments if argument.startswith("--")]
        paths = [argument for argument in arguments if not argument.startswith("--")]
        with self._calling:
            return rclone.run(
                command, *options, "--", *paths, where=self.place, patience=rclone.HASTE, limit_s=CALL_S
            )


class SignOfLife:
    """Says, as long as it is renewed, that somebody is there.

    Args:
        mailbox: where.
        name: ``homes/{home}`` or ``workers/{worker}``.
    """

    def __init__(self, mailbox: Mailbox, name: str) -> None:
        self._mailbox, self._name = mailbox, name
        self._count, self._last = int(time.time()), float("-inf")  # a later process counts on

    def renew(self) -> None:
        """Give a sign if one is due."""
        if time.monotonic() - self._last < SIGN_S:
            return
        before, self._count = self._count, self._count + 1
        self._mailbox.write(f"{self._name}/{self._count}", {})
        self._last = time.monotonic()
        self._mailbox.remove([f"{self._name}/{before}"])

    def end(self, names: Iterable[str]) -> None:
        """Take all signs back; ``names`` are those in the mailbox."""
        self._mailbox.remove(name for name in names if name.startswith(f"{self._name}/"))


class LivingOnes:
    """Who is there, as their signs of life say to somebody who looks again and again."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float]] = {}

    def look(self, names: Iterable[str]) -> set[str]:
        """Return who is there (``homes/{home}``, ``workers/{worker}``), given the names in the mailbox."""
        now = time.monotonic()
        latest: dict[str, str] = {}
        for name in names:
            who, _, count = name.rpartition("/")
            if who.startswith(("homes/", "workers/")):
                latest[who] = max(latest.get(who, ""), count, key=lambda text: (len(text), text))
        for who, count in latest.items():
            if self._seen.get(who, ("",))[0] != count:
                self._seen[who] = count, now
        return {who for who in latest if now - self._seen[who][1] < LEASE_S}


def file_of(home: str, digest: str) -> str:
    """Return the name of a file that jobs of a home read or made."""
    return f"files/{home}/{digest}"


def home_of(job: str) -> str:
    """Return the home of a job."""
    return job.split("-", maxsplit=1)[0]


def parts_of(names: Iterable[str], kind: str) -> dict[str, list[str]]:
    """Return who has claimed, or answered, which job: names of ``claims/`` or ``results/`` by job."""
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        parts = name.split("/")
        if parts[0] == kind and len(parts) == 3:
            found.setdefault(parts[1], []).append(parts[2].removesuffix(".json"))
    return found
