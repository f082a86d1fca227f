"""The folder of enrolment clips: who is in it, and the checksum of each clip.

``Anna.wav``, ``Anna.2.m4a`` and any recording in the folder ``Anna/`` are clips of Anna.
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sessionscribe.core.errors import visible
from sessionscribe.core.text import TOO_LONG, is_long_name
from sessionscribe.manifest.sources import EXTENSIONS
from sessionscribe.storage.checksums import Checksums

CHECKSUMS = "results/name/voices/.checksums.json"
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


def read(folder: str, root: Path = Path()) -> EnrollmentSamples:
    """Return the clips in a folder; a folder that is not there has none.

    A clip is only read if its size, its times or the file itself have changed.

    Args:
        folder: the folder, as seen from ``root``.
        root: the project's folder.
    """
    checksums = Checksums(root / CHECKSUMS)
    clips, problems = [], []
    for person, path in _recordings(root / folder):
        name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
        if is_long_name(person):
            problems.append(f"{visible(name)}: the name {TOO_LONG}. It names nobody")
            continue
        try:
            clips.append(EnrollmentSample(person, name, checksums.sha256(path)))
        except OSError as error:
            problems.append(f"{visible(name)}: cannot be read ({error.strerror}). It names nobody")
    with contextlib.suppress(OSError):  # on a full or read-only disk they are read again
        checksums.write()
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
