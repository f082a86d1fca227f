"""The scripts that a worker runs on a machine: a folder there that is named by their content."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sessionscribe.core.files import sha256
from sessionscribe.runners.connection import Connection

WHOLE = ".whole"


@dataclass(frozen=True)
class Bundle:
    """Files by their folder here and their path below it, and a name for all of their content."""

    name: str
    files: tuple[tuple[Path, str], ...]


def bundle(files: Sequence[tuple[Path, str]]) -> Bundle:
    """Return a bundle of files, each given as folder and path below that."""
    digest = hashlib.sha256()
    for root, name in sorted(files, key=lambda file: file[1]):
        digest.update(f"{name}\0{sha256(root / name)}\n".encode())
    return Bundle(digest.hexdigest()[:16], tuple(files))


def files_of(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files of a folder of scripts, named below its parent; not what Python and installers left."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        made = any(part.startswith(".") or part == "__pycache__" or ".egg" in part for part in inside)
        if path.is_file() and not made:
            yield folder.parent, path.relative_to(folder.parent).as_posix()


def ship(connection: Connection, root: str, wanted: Bundle) -> str:
    """Bring a bundle to a machine, unless it is there, and return its folder.

    Args:
        connection: to the machine.
        root: our folder there.
        wanted: the bundle.

    Raises:
        DisconnectedError, UnusableError: as ``Connection.send``.
    """
    folder = f"{root}/src/{wanted.name}"
    quoted = shlex.quote(folder)
    there = f"mkdir -p {quoted}; touch {quoted}; test -e {quoted}/{WHOLE} && echo whole || echo missing"
    if connection.run(f"exec sh -c {shlex.quote(there)}").strip() != "whole":
        connection.send(wanted.files, folder)
        connection.run(f"touch {quoted}/{WHOLE}")
    return folder
