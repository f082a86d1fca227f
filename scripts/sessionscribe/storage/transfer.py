"""Whole files from and to remotes: either complete and verified, or not there."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sessionscribe.core.errors import UserError
from sessionscribe.core.fingerprint import fingerprint
from sessionscribe.storage import listing, rclone
from sessionscribe.storage.locations import is_remote, join, rclone_path, split

REPORT_S = 10
PART = ".sessionscribe-arriving"
"""Prefix of the folder in which files arrive on remotes that would show incomplete ones."""
MANY = ("--transfers=32", "--checkers=32")


def download(
    source: str, target: Path, checksum: str, *, log: Callable[[str], None] = lambda _: None
) -> None:
    """Copy a remote file to ``target``, which must not exist, completely or not at all.

    rclone writes to a temporary name until everything has arrived with the remote's size and checksum. Then
    the content is compared with ``checksum`` (as in ``listing.Item``). Every ten seconds, ``log`` gets a line
    about the progress.

    Raises:
        UserError: it does not exist, has other content, or cannot be downloaded.
        OSError: the disk is full.
    """
    place = rclone_path(source)
    command = ("copyto", "--no-traverse", f"--stats={REPORT_S}s", "--", place, str(target.absolute()))
    try:
        rclone.run(*command, where=source, on_progress=lambda progress: log(f"{source}: {progress}"))
    except rclone.RcloneError as error:
        if error.reason != "full":
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target.parent)) from error
    if not target.is_file():
        raise UserError("does not exist", where=source, hint="Check the name, which is case-sensitive")
    try:
        verify(target, checksum, where=source)
    except UserError:
        target.unlink()
        raise


def fetch(sources: Iterable[str], folder: Path) -> Iterator[tuple[str, Path]]:
    """Copy small remote files into a folder; yield those that exist, with their local paths.

    Raises:
        UserError: a remote cannot be read.
    """
    by_root: dict[str, list[str]] = {}
    for source in sources:
        root, path = split(source)
        by_root.setdefault(root, []).append(path)
    for number, (root, paths) in enumerate(by_root.items()):
        target, place = folder / str(number), rclone_path(root)
        _transfer("copy", paths, place, str(target.absolute()), *MANY, where=root)
        for path in paths:
            if (target / path).is_file():
                yield f"{root}{path}", target / path


def verify(path: Path, checksum: str, *, where: object) -> None:
    """Compare a file with its checksum, if Python knows the algorithm (rclone has compared all others).

    Raises:
        UserError: the content is different.
    """
    algorithm, wanted = split_checksum(checksum)
    if algorithm not in hashlib.algorithms_available:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if found != wanted:
        what = f"has changed since it was added ({algorithm} {found[:12]}…, not {wanted[:12]}…)"
        hint = "Add it again with `sessionscribe add`, or restore the old file"
        raise UserError(what, where=where, hint=hint)


def split_checksum(checksum: str) -> tuple[str, str]:
    """Return algorithm and digest of a checksum; SHA-256 if it names no algorithm."""
    algorithm, _, digest = checksum.rpartition(":")
    return algorithm or "sha256", digest


def upload(files: Iterable[Path], root: Path, target: str, *, sent_before: Collection[Path] = ()) -> None:
    """Copy files below ``root`` to the same places below a folder on a remote or on this machine.

    Unchanged files are not sent again, and nothing is deleted. A file appears under its name when complete.
    On a remote without checksums, only the sizes of files that were sent there as they are now
    (``sent_before``) are compared, and all others are sent anew.

    Raises:
        UserError: the remote cannot be written.
    """
    names = {os.fsdecode(path.relative_to(root)): path in sent_before for path in sorted(files)}
    here, there = str(root.absolute()), rclone_path(target)
    if not is_remote(target) or listing.hashes(target):
        _transfer("copy", names, here, there, "--checksum", where=target)
        return
    for comparison, known in (("--size-only", True), ("--ignore-times", False)):
        chosen = [name for name in names if names[name] == known]
        if chosen and listing.shows_half_files(target):
            _copy_and_move(chosen, here, there, comparison, where=target)
        elif chosen:
            _transfer("copy", chosen, here, there, comparison, where=target)


def _copy_and_move(names: Iterable[str], here: str, there: str, comparison: str, *, where: str) -> None:
    """Copy files to a folder of their own on the remote, and move them to their places from there."""
    # The folder's name says which folder here sent them, as two machines may send to the same place: a killed
    # transfer finds its files again.
    part = rclone_path(join(there, f"{PART}-{fingerprint(platform.node(), here)}"))
    # Unchanged files are not copied. (Only sizes can be compared with another folder.)
    unchanged = (f"--compare-dest={there}",) if comparison == "--size-only" else ()
    _transfer("copy", names, here, part, comparison, *unchanged, where=where)
    _transfer("move", names, part, there, "--ignore-times", where=where)
    with suppress(rclone.RcloneError):  # nothing had to be sent
        rclone.run("rmdirs", "--", part, where=where, patience=("--retries=1",))


def _transfer(
    command: str, names: Iterable[str], source: str, target: str, *options: str, where: str
) -> None:
    with _listed(names) as listed:
        chosen = (f"--files-from-raw={listed}", "--no-traverse")
        rclone.run(command, *chosen, *options, "--", source, target, where=where)


@contextmanager
def _listed(names: Iterable[str]) -> Iterator[str]:
    """Yield the path of a file with literal names, one per line; a name must not contain a line break."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as listed:
        listed.write("".join(f"{name}\n" for name in names))
        listed.flush()
        yield listed.name
