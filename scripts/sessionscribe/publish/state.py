"""What this clone knows of a published session: the version that its files are of, and where that is."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sessionscribe.artifacts.base import Part
from sessionscribe.artifacts.published import Published
from sessionscribe.core import files, locks
from sessionscribe.publish.package_manifest import CONTENTS, FOLDER, folder_of

STATES = f"{FOLDER}/.here"
LOCK = f"{FOLDER}/.publish.lock"


class FileStat(Part):
    """A file as it was when its content was known: a look at size and time tells that it still is so."""

    size: int
    mtime_ns: int
    sha256: str


class State(Part):
    """A session as it was last published or pulled in this clone. ``results/publish/.here/{session}.json``.

    ``version`` is DVC's name for it, empty while that is not known; ``base`` what git had when it was made;
    ``sent`` the remotes that have it. The file's own time is that of the contents it is about.
    """

    version: str
    base: str = ""
    sent: tuple[str, ...] = ()
    files: dict[str, FileStat]

    def store(self, root: Path, session: str) -> None:
        """Write it, with the time of the session's contents."""
        path = root / STATES / f"{session}.json"
        files.write_text(path, self.model_dump_json() + "\n")
        about = (root / folder_of(session) / CONTENTS).stat().st_mtime_ns
        os.utime(path, ns=(about, about))


@contextmanager
def locked(root: Path, *, wait: Callable[[], None] | None = None) -> Iterator[int | None]:
    """Let one process at a time publish, pull or unpack; yields the lock's descriptor.

    Where another one has the lock, ``wait`` is called before waiting; without it, None is yielded at once.
    """
    path = root / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            # Where there are no locks it goes on without: most work alone.
            locks.take(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if wait is None:
                yield None
                return
            wait()
            locks.take(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def load(root: Path, session: str) -> State | None:
    """Return what is known of a session; None if nothing is."""
    path = root / STATES / f"{session}.json"
    try:
        return State.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None  # cut short by a power cut: as if it had never been


def is_known(root: Path, session: str) -> bool:
    """Return whether a session's published form is there, and is the one that this clone knows."""
    try:
        contents = (root / folder_of(session) / CONTENTS).stat()
        return contents.st_mtime_ns == (root / STATES / f"{session}.json").stat().st_mtime_ns
    except OSError:
        return False


def unknown(root: Path) -> list[str]:
    """Return the sessions whose published form is there and is not the one that this clone knows."""
    known = {name.removesuffix(".json"): time for name, time in _times(root / STATES, "")}
    return sorted(name for name, time in _times(root / FOLDER, f"/{CONTENTS}") if known.get(name) != time)


def _times(folder: Path, inner: str) -> Iterator[tuple[str, int]]:
    """Yield the names in a folder, with the time (ns) of ``inner`` in each."""
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.endswith(".dvc"):
                continue
            try:
                yield entry.name, os.stat(entry.path + inner).st_mtime_ns
            except OSError:
                continue


def seen(path: Path, digest: str) -> FileStat:
    """Note a file whose checksum is known."""
    found = path.stat()
    return FileStat(size=found.st_size, mtime_ns=found.st_mtime_ns, sha256=digest)


def changed(root: Path, state: State) -> list[str]:
    """Return the files that are there, and not as they were published or pulled."""
    return [
        path
        for path, before in state.files.items()
        if digest(root, path, before) not in (None, before.sha256)
    ]


def digest(root: Path, path: str, before: FileStat | None) -> str | None:
    """Return the SHA-256 of a file, without reading it where it looks as ``before``; None if it is absent."""
    try:
        found = (root / path).stat()
    except OSError:
        return None
    if before and (found.st_size, found.st_mtime_ns) == (before.size, before.mtime_ns):
        return before.sha256
    return files.sha256(root / path)


def of_packed(root: Path, published: Published, version: str, base: str) -> State:
    """Return the state after the files that lie here were packed."""
    return State(
        version=version,
        base=base,
        files={file.path: seen(root / file.path, file.sha256) for file in published.files},
    )
