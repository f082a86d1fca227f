"""The folder of voice samples: ``Anna.wav``, ``Anna.2.m4a`` and recordings in ``Anna/`` are Anna's."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sessionscribe.core.errors import visible
from sessionscribe.core.text import TOO_LONG, is_long_name
from sessionscribe.manifest.sources import File
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
    """The samples in a folder, by path, and a line for each that cannot be used."""

    clips: tuple[EnrollmentSample, ...]
    problems: tuple[str, ...]


def read(folder: str, root: Path = Path()) -> EnrollmentSamples:
    """Return the samples in a folder, relative to the project's folder ``root``; none if it does not exist.

    Checksums are cached; a sample is only read again if its size or times have changed.
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
    """Return the person that a file (without its ending) or folder is named after; "" if nobody."""
    return " ".join(unicodedata.normalize("NFC", visible(NUMBER.sub("", stem))).split())


def _recordings(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield each recording in a folder with the person whose voice it is."""
    for path in _content(folder):
        is_folder = path.is_dir()
        if person := person_of(path.name if is_folder else path.stem):
            for clip in _content(path) if is_folder else [path]:
                if File(str(clip), clip).is_recording and clip.is_file():
                    yield person, clip


def _content(folder: Path) -> list[Path]:
    """Return the paths in a folder, without hidden ones; none if it cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        return []
