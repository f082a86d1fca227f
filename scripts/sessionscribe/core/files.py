"""Atomic writes and checksums of files."""

import codecs
import hashlib
import io
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

BLOCK = 1 << 20
PRIVATE = ("*.npz", "*.voices.json", "name/voices/*.json")
"""Voice embeddings, which identify people: only the owner may read them."""
CLOCKS_DIFFER_S = 2.0  # between the time since boot and the file system's clock


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` and rename it to ``path`` when the block ends without an error.

    Data and directory entry are synced, so a file with its final name is complete, even after a power cut.
    """
    path = Path(path)
    temporary = _temporary(path)
    _remove_leftovers(path.parent, (path.name,))
    try:
        with _naming(path):
            yield temporary
            sync([temporary])
            _rename({path: temporary})
    finally:
        temporary.unlink(missing_ok=True)


def read_text(path: Path) -> str:
    r"""Return the text of a file that people save: UTF-8, or UTF-16 with its mark; lines end with ``\n``."""
    return io.StringIO(decoded(path.read_bytes()), newline=None).read()


def decoded(data: bytes) -> str:
    """Return the text of a file in UTF-8 or, if it has a mark, in UTF-16 (`Unicode` in Excel and Notepad)."""
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return data.decode("utf-16" if data.startswith(marks) else "utf-8-sig")


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` atomically, as UTF-8 with its line ends unchanged."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode())


def write_many(root: Path, contents: Mapping[str, bytes]) -> None:
    """Write files below ``root`` atomically, all or none."""
    with staged(root, ((path, (data,)) for path, data in contents.items())):
        pass


@contextmanager
def staged(root: Path, contents: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[None]:
    """Write files below ``root`` in blocks; rename all of them, in order, when the ``with`` block ends.

    If anything raises, no file is renamed. This is ten times as fast as syncing one file after the other.
    See ``atomic_path``.
    """
    temporary: dict[Path, Path] = {}
    try:
        for path, blocks in contents:
            target = root / path
            with _naming(target):
                temporary[target] = _temporary(target)
                with temporary[target].open("wb") as file:
                    file.writelines(blocks)
        names = {target.name for target in temporary}
        for folder in {target.parent for target in temporary}:
            _remove_leftovers(folder, names)
        sync(temporary.values())
        yield
        _rename(temporary)
    finally:
        for written in temporary.values():
            written.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    """Return the temporary path for a file: hidden, with our pid, and with the suffix that encoders need."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    if any(path.match(pattern) for pattern in PRIVATE):
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    return temporary


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in errors that name none or a temporary one, for messages."""
    try:
        yield
    except OSError as error:
        named = [os.path.basename(str(name)) for name in (error.filename, error.filename2) if name]
        if error.errno is None or (named and not any(name.startswith(".tmp-") for name in named)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # PyAV's errors cannot be changed


def _rename(temporary: Mapping[Path, Path]) -> None:
    """Rename temporary files, given by their final paths."""
    for path, written in temporary.items():
        with _naming(path):
            written.replace(path)
    sync({path.parent for path in temporary})


def _remove_leftovers(folder: Path, names: Collection[str]) -> None:
    """Remove the temporary files that killed processes left of files with these names."""
    for leftover in folder.glob(".tmp-*-*"):
        _, pid, name = leftover.name.split("-", 2)
        if name in names and pid.isdecimal() and not _written_by(int(pid), leftover):
            leftover.unlink(missing_ok=True)


def _written_by(pid: int, leftover: Path) -> bool:
    """Return whether the process with this number still writes the file.

    A killed process is a zombie until its parent collects it, which never happens in a container without an
    init. A process that began after the file was last written to has only been given the same number.
    """
    import psutil  # noqa: PLC0415 -- rarely needed

    try:
        process = psutil.Process(pid)
        began_s, state = process.create_time(), process.status()
        return state != psutil.STATUS_ZOMBIE and began_s < leftover.stat().st_mtime + CLOCKS_DIFFER_S
    except psutil.AccessDenied:  # it belongs to another user
        return True
    except (psutil.NoSuchProcess, OverflowError, FileNotFoundError):
        return False


def sync(paths: Iterable[Path]) -> None:
    """Wait until files and directory entries are on disk."""
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
    """Return a checksum of the names and contents of the Python files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*.py")):
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def sampled_sha256(folder: Path) -> str:
    """Return a checksum that identifies a model folder without reading gigabytes.

    It covers the name and size of each file and the first, middle and last MiB of its content. So retraining
    changes it, but tampering can go unnoticed.
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
    """A seekable file of a known size, in bytes; subclasses implement reading."""

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
        """Set and return the position, in bytes."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position
