"""The folder of enrolment clips: who is in it, and the checksum of each clip.

``Anna.wav``, ``Anna.2.m4a`` and any recording in the folder ``Anna/`` are clips of Anna.
"""

from __future__ import annotations

import contextlib
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sessionscribe.core.errors import visible
from sessionscribe.core.files import sha256, write_text
from sessionscribe.core.text import TOO_LONG, is_long_name
from sessionscribe.manifest.sources import EXTENSIONS

NUMBER = re.compile(r"\.\d+$")


@dataclass(frozen=True)
class EnrollmentSample:
    """A recording of one person's voice; ``checksum`` is the SHA-256 of its content."""

    person: str
    path: str
    checksum: str


@dataclass(frozen=True)
class EnrollmentSamples:
    """The clips of a folder in the order of their paths, and a line for each that cannot be read."""

    clips: tuple[EnrollmentSample, ...]
    problems: tuple[str, ...]


def read(folder: str, root: Path = Path(), *, cache: str = "") -> EnrollmentSamples:
    """Return the clips in a folder; a folder that is not there has none.

    Args:
        folder: the folder, as seen from ``root``.
        root: the project's folder.
        cache: a file (below ``root``) that keeps checksums, so that a clip is read again only when its size,
            its times or the file itself have changed; "": read all.
    """
    known = _read_cache(root / cache) if cache else {}
    seen: dict[str, list[Any]] = {}
    clips, problems = [], []
    for person, path in _recordings(root / folder):
        name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
        if is_long_name(person):
            problems.append(f"{visible(name)}: the name {TOO_LONG}. It names nobody")
            continue
        try:
            status = path.stat()
            state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
            before = known.get(name, [])
            checksum = before[4] if before[:4] == state else sha256(path)
        except OSError as error:
            problems.append(f"{visible(name)}: cannot be read ({error.strerror}). It names nobody")
            continue
        seen[name] = [*state, checksum]
        clips.append(EnrollmentSample(person, name, checksum))
    if cache and seen != known:
        with contextlib.suppress(OSError):  # on a full or read-only disk they are read again
            write_text(root / cache, json.dumps(seen) + "\n")
    return EnrollmentSamples(tuple(clips), tuple(problems))


def person_of(stem: str) -> str:
    """Return whose clip a file (without its ending) or folder of that name is; "" if it can be nobody's."""
    return " ".join(unicodedata.normalize("NFC", visible(NUMBER.sub("", stem))).split())


def _recordings(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield each recording in a folder with the person whose voice it is."""
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir()):
            if path.name.startswith("."):
                continue
            if path.is_dir():
                with contextlib.suppress(OSError):
                    yield from (
                        (person, clip)
                        for clip in sorted(path.iterdir())
                        if (person := person_of(path.name)) and _is_recording(clip)
                    )
            elif (person := person_of(path.stem)) and _is_recording(path):
                yield person, path


def _is_recording(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return not hidden and path.suffix[1:].lower() in EXTENSIONS and path.is_file()


def _read_cache(path: Path) -> dict[str, list[Any]]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    whole = isinstance(found, dict) and all(isinstance(row, list) and len(row) == 5 for row in found.values())
    return found if whole else {}
