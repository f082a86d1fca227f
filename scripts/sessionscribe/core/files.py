"""Atomic writes, and checksums of content."""

import hashlib
import io
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

BLOCK = 1 << 20
PRIVATE = ("*.npz", "*.voices.json", "name/voices/*.json")
"""Voice embeddings, which a person can be known by: nobody else on this machine may read them."""
CLOCKS_DIFFER_S = 2.0  # the kernel's count of ticks since boot, and the file system's clock


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block ends without an error.

    The data is on disk (fsync) before it gets its final name, and the folder's entry too, so that a file
    with its final name is whole after a kill -9 and after a power cut.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays: encoders choose the format by it. Hidden and with our pid: never taken for a result.
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    _remove_leftovers(path.parent, (path.name,))
    try:
        _keep_private(path, temporary)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if not error.filename:  # of what was written to: it tells which disk is full
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _keep_private(path: Path, temporary: Path) -> None:
    """Let what is to be a `PRIVATE` file be its owner's alone from its first byte on."""
    if any(path.match(pattern) for pattern in PRIVATE):
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))


def _remove_leftovers(folder: Path, names: Collection[str]) -> None:
    """Remove what killed processes left of files with these names: an hour of audio may lie there."""
    for leftover in folder.glob(".tmp-*-*"):
        _, pid, name = leftover.name.split("-", 2)
        if name in names and pid.isdecimal() and not _written_by(int(pid), leftover):
            leftover.unlink(missing_ok=True)


def _written_by(pid: int, leftover: Path) -> bool:
    """Whether the process of this number still writes the file.

    A killed process keeps its number until somebody collects it, which nobody does in a container without
    an init; and a number is given again: to a process that began after the file was last written to.
    """
    import psutil  # noqa: PLC0415 -- hardly ever asked

    try:
        process = psutil.Process(pid)
        began_s, state = process.create_time(), process.status()
        return state != psutil.STATUS_ZOMBIE and began_s < leftover.stat().st_mtime + CLOCKS_DIFFER_S
    except psutil.AccessDenied:  # another user's
        return True
    except (psutil.NoSuchProcess, OverflowError, FileNotFoundError):
        return False


def write_text(path: Path, text: str) -> None:
    """Write ``text`` (UTF-8, line ends as they are) to ``path`` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode())


def write_many(root: Path, contents: Mapping[str, bytes]) -> None:
    """Write files below ``root`` atomically; they get their names, in order, when all are on disk."""
    with staged(root, ((path, (data,)) for path, data in contents.items())):
        pass


@contextmanager
def staged(root: Path, contents: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[None]:
    """Write files below ``root``, block by block, which get their names, in order, after the ``with``.

    Each waiting for the disk by itself, they would take ten times as long. If something raises, in the
    ``with`` or while they are written, none gets its name. See ``atomic_path``.
    """
    temporary: dict[Path, Path] = {}
    try:
        for path, blocks in contents:
            target = root / path
            temporary[target] = target.with_name(f".tmp-{os.getpid()}-{target.name}")
            target.parent.mkdir(parents=True, exist_ok=True)
            _keep_private(target, temporary[target])
            try:
                with temporary[target].open("wb") as file:
                    file.writelines(blocks)
            except OSError as error:
                error.filename = error.filename or str(target)
                raise
        names = {target.name for target in temporary}
        for folder in {target.parent for target in temporary}:
            _remove_leftovers(folder, names)
        sync(temporary.values())
        yield
        for target, written in temporary.items():
            written.replace(target)
        sync({target.parent for target in temporary})
    finally:
        for written in temporary.values():
            written.unlink(missing_ok=True)


def sync(paths: Iterable[Path]) -> None:
    """Wait until files, and the entries of folders, are on disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def blocks(path: Path) -> Iterator[bytes]:
    """Yield the content of a file in blocks."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_sha256(folder: Path) -> str:
    """Return a checksum of the Python files below a folder, by name and content."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def sampled_sha256(folder: Path) -> str:
    """Return a checksum that names a model folder without reading gigabytes.

    It covers every file's relative name and size, and the first, middle and last MiB of its content, so it
    is the same on every machine and changes with retraining; it is no proof against tampering.
    """
    digest = hashlib.sha256()
    for path in sorted(p for p in Path(folder).rglob("*") if p.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()}\0{size}\0".encode())
        with path.open("rb") as file:
            for start in sorted({0, max(0, size // 2 - BLOCK // 2), max(0, size - BLOCK)}):
                file.seek(start)
                digest.update(file.read(BLOCK))
    return digest.hexdigest()


class SizedFile(io.RawIOBase):
    """A file of a known size (in bytes) that is read and positioned; subclasses say how it is read."""

    def __init__(self, name: str, size: int) -> None:
        self.name, self._size, self._position = name, size, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position, in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, in bytes, and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position
