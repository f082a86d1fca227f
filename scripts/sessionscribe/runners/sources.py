"""Folders of scripts that are copied to other machines, and named there by a hash of their content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from sessionscribe.core.files import sha256


def name_of(files: Iterable[tuple[Path, str]]) -> str:
    """Return a hash of files, each given as a folder and a path relative to that."""
    digest = hashlib.sha256()
    for root, name in sorted(files, key=lambda file: file[1]):
        digest.update(f"{name}\0{sha256(root / name)}\n".encode())
    return digest.hexdigest()[:16]


def files_of(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the parent of a folder, and the path relative to that, for each file that is source code."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        generated = any(part.startswith(".") or part == "__pycache__" or ".egg" in part for part in parts)
        if path.is_file() and not generated:
            yield folder.parent, path.relative_to(folder.parent).as_posix()
