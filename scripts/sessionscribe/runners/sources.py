"""The scripts that a worker runs on a machine: a folder there that is named by their content."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sessionscribe.core.files import sha256
from sessionscribe.runners.connection import Connection

WHOLE = ".whole"


def name_of(files: Iterable[tuple[Path, str]]) -> str:
    """Return a name for the content of files, each given as folder and path below that."""
    digest = hashlib.sha256()
    for root, name in sorted(files, key=lambda file: file[1]):
        digest.update(f"{name}\0{sha256(root / name)}\n".encode())
    return digest.hexdigest()[:16]


def files_of(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files of a folder of scripts, named below its parent; not what Python and installers left."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        made = any(part.startswith(".") or part == "__pycache__" or ".egg" in part for part in inside)
        if path.is_file() and not made:
            yield folder.parent, path.relative_to(folder.parent).as_posix()


def ship(connection: Connection, root: str, files: Sequence[tuple[Path, str]]) -> str:
    """Bring files to a machine, unless they are there, and return their folder.

    Args:
        connection: to the machine.
        root: our folder there.
        files: as for ``name_of``.

    Raises:
        DisconnectedError, UnusableError: as ``Connection.send``.
    """
    folder = f"{root}/src/{name_of(files)}"
    quoted = shlex.quote(folder)
    there = f"mkdir -p {quoted}; touch {quoted}; test -e {quoted}/{WHOLE} && echo whole || echo missing"
    if connection.run(f"exec sh -c {shlex.quote(there)}").strip() != "whole":
        connection.send(files, folder)
        connection.run(f"touch {quoted}/{WHOLE}")
    return folder
