"""Whole files from and to remotes: complete and verified, or not there."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sessionscribe.core.errors import UserError
from sessionscribe.core.fingerprint import fingerprint
from sessionscribe.storage import listing, rclone
from sessionscribe.storage.locations import is_remote, join, rclone_path, split

REPORT_S = 10.0
PART = ".sessionscribe-arriving"
"""How the folder on a remote begins in which files arrive where they would be seen half."""


def download(
    source: str,
    target: Path,
    checksum: str,
    *,
    s3_remote: str = "",
    log: Callable[[str], None] = lambda _: None,
) -> None:
    """Copy a remote file to ``target``, which is there afterwards as a whole, or not at all.

    rclone writes under another name beside it until all has arrived with the size and checksum that the
    remote tells; then the checksum is compared with the one that is wanted.

    Args:
        source: the remote file.
        target: where to put it; there should be nothing yet.
        checksum: what its content must be, as ``listing.Item`` has it.
        s3_remote: the remote that stands for `s3://`.
        log: takes a line about the progress, every ten seconds.

    Raises:
        UserError: it is not there, has another content, or cannot be had.
        OSError: the disk is full.
    """
    place = rclone_path(source, s3_remote=s3_remote)
    command = ("copyto", "--no-traverse", "--", place, str(target.absolute()))
    try:
        rclone.run(*command, where=source, on_progress=_reporter(source, log))
    except rclone.RcloneError as error:
        if error.reason != "full":
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target.parent)) from error
    if not target.is_file():
        raise UserError("does not exist", where=source, hint="Check the name; upper and lower case count")
    try:
        verify(target, checksum, where=source)
    except UserError:
        target.unlink()
        raise


def fetch(sources: Iterable[str], folder: Path, *, s3_remote: str = "") -> Iterator[tuple[str, Path]]:
    """Copy small remote files into a folder, many at once; yield those that were there, with their paths.

    Raises:
        UserError: a remote cannot be read.
    """
    by_root: dict[str, list[str]] = {}
    for source in sources:
        root, path = split(source)
        by_root.setdefault(root, []).append(path)
    for number, (root, paths) in enumerate(by_root.items()):
        target = folder / str(number)
        with _listed(paths) as names:
            options = (f"--files-from-raw={names}", "--no-traverse", "--transfers=32", "--checkers=32")
            place = rclone_path(root, s3_remote=s3_remote)
            rclone.run("copy", *options, "--", place, str(target.absolute()), where=root)
        for path in paths:
            if (target / path).is_file():
                yield f"{root}{path}", target / path


def verify(path: Path, checksum: str, *, where: object) -> None:
    """Check that a file has a content; a checksum that Python does not know is rclone's to check.

    Raises:
        UserError: it has another.
    """
    algorithm, wanted = split_checksum(checksum)
    if algorithm not in hashlib.algorithms_available:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    if found != wanted:
        what = f"has changed since it was added ({algorithm} {found[:12]}…, not {wanted[:12]}…)"
        raise UserError(
            what, where=where, hint="Run `sessionscribe add` again for it, or put the old file back"
        )


def split_checksum(checksum: str) -> tuple[str, str]:
    """Return algorithm and digest of a checksum; without a name it is a SHA-256."""
    algorithm, _, digest = checksum.rpartition(":")
    return algorithm or "sha256", digest


def _reporter(name: str, log: Callable[[str], None]) -> Callable[[rclone.Progress], None]:
    last = time.monotonic()

    def report(progress: rclone.Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= REPORT_S:
            last = time.monotonic()
            log(f"{name}: {progress}")

    return report


def upload(
    files: Iterable[Path],
    root: Path,
    target: str,
    *,
    s3_remote: str = "",
    sent_before: Collection[Path] = (),
    log: Callable[[str], None] = lambda _: None,
) -> None:
    """Copy files below ``root`` to the same places below a folder on a remote or on this machine.

    What is there already is not sent again. Nothing is deleted. A file has its name when all of it is there.

    Args:
        files: what to copy.
        root: a folder that all of them are in.
        target: the folder to copy to.
        s3_remote: the remote that stands for `s3://`.
        sent_before: files that went there as they are; a remote that knows no checksums is asked for their
            sizes only, and gets all others anew.
        log: takes a line about the progress, every ten seconds.

    Raises:
        UserError: the remote cannot be written.
    """
    names = {os.fsdecode(path.relative_to(root)): path in sent_before for path in sorted(files)}
    if not is_remote(target) or listing.knows_checksums(target, s3_remote=s3_remote):
        rounds = {"--checksum": list(names)}
    else:
        rounds = {
            "--size-only": [name for name, known in names.items() if known],
            "--ignore-times": [name for name, known in names.items() if not known],
        }
    send = _Sending(root, target, s3_remote, log)
    for comparison, chosen in rounds.items():
        if chosen and (
            comparison == "--checksum" or not listing.shows_half_files(target, s3_remote=s3_remote)
        ):
            send.copy(chosen, comparison)
        elif chosen:
            send.copy_and_move(chosen, comparison)


@dataclass(frozen=True)
class _Sending:
    """Files below ``root`` on their way to ``target``; the rest is as ``upload`` has it."""

    root: Path
    target: str
    s3_remote: str
    log: Callable[[str], None]

    def copy(self, names: list[str], how: str, *, to: str = "", more: tuple[str, ...] = ()) -> None:
        with _listed(names) as listed:
            options = (f"--files-from-raw={listed}", "--no-traverse", how, *more)
            command = ("copy", *options, "--", str(self.root.absolute()), self._place(to or self.target))
            rclone.run(*command, where=self.target, on_progress=_reporter(self.target, self.log))

    def copy_and_move(self, names: list[str], how: str) -> None:
        """Let files arrive in a folder of their own, and then move them to their places, on the remote."""
        # Of this folder here: two machines may send to one place, and who was killed finds his own again.
        part = join(self.target, f"{PART}-{fingerprint(platform.node(), str(self.root.absolute()))}")
        # What is there as it is does not set out. (To compare there by anything but the size is of no use.)
        there = (f"--compare-dest={self._place(self.target)}",) if how == "--size-only" else ()
        self.copy(names, how, to=part, more=there)
        with _listed(names) as listed:
            options = (f"--files-from-raw={listed}", "--no-traverse", "--ignore-times")
            command = ("move", *options, "--", self._place(part), self._place(self.target))
            rclone.run(*command, where=self.target)
        with suppress(rclone.RcloneError):  # nothing had to be sent
            rclone.run("rmdirs", "--", self._place(part), where=self.target, patience=("--retries=1",))

    def _place(self, folder: str) -> str:
        return rclone_path(folder, s3_remote=self.s3_remote)


@contextmanager
def _listed(names: Iterable[str]) -> Iterator[str]:
    """Yield the path of a file with names as they are, one a line: no pattern, no comment.

    A name with a line break cannot be listed.
    """
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as listed:
        listed.write("".join(f"{name}\n" for name in names))
        listed.flush()
        yield listed.name
