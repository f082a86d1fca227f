"""Read untrusted bundles: nothing is written before everything has been checked.

``zipfile`` accepts hostile archives (names cut off by a NUL, duplicate names, ``..``, links, overlapping
members). So nothing is extracted by the archive's own names: only members that the manifest lists are read,
and these must be results of its session.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from sessionscribe.artifacts.bundle import MANIFEST, SessionBundle
from sessionscribe.artifacts.provenance import Output, Provenance
from sessionscribe.config import settings
from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.files import BLOCK
from sessionscribe.manifest import manifest
from sessionscribe.manifest.manifest import Session
from sessionscribe.planning.session_files import RECORDS, is_plain, is_safe, parse_record, verified
from sessionscribe.planning.settings_files import SETTINGS
from sessionscribe.sharing.bundle import DIGESTS, MODEL, SECTIONS, digests_of
from sessionscribe.stages.correct import table as corrections

MAX_GB = 20.0
MOST_MANIFEST = 64 << 20
MOST_RATIO = 100
HINT = "Nothing was written. Get it again from where it was made"
KEYED = re.compile(r"results/[a-z]+/[^/]+/[0-9a-f]{12}/[^/]+")
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_END = b"PK\5\6"
_ZIP64 = struct.Struct("<4s36xQ8x20x")  # the end's long form, and what points to it
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError, OSError)


@dataclass(frozen=True)
class StepFiles:
    """A step in a bundle: its record, and its outputs and settings that the bundle has."""

    name: str
    record: str
    provenance: Provenance
    files: list[Output]


@dataclass(frozen=True)
class OpenBundle:
    """A bundle with a valid manifest; ``verify`` checks its files.

    Error messages name its ``place``, and ``read`` yields the content of a file in blocks, unchecked.
    """

    place: str
    about: SessionBundle
    read: Callable[[Output], Iterable[bytes]]

    def session(self) -> Session:
        """Return the session with its rows."""
        return _session(self.about, self.place)

    def blocks(self, entry: Output) -> Iterator[bytes]:
        """Yield the content of a file in blocks.

        Raises:
            UserError: it does not have the listed size and checksum.
        """
        try:
            yield from verified(entry, self.read(entry))
        except _BROKEN as error:
            raise refused(self.place, f"{entry.path} cannot be read ({error})") from error

    def verify(self) -> None:
        """Read all files.

        Raises:
            UserError: one is damaged, or is not the result of a step.
        """
        for entry in self.about.files:
            for _ in self.blocks(entry):
                pass
        claimed = {path for step in self.steps() for path in _files_of(step.provenance, step.record)}
        edits = corrections.path_of(self.about.session).as_posix()
        for entry in self.about.files:
            of_no_step = entry.path == edits or KEYED.fullmatch(entry.path) or MODEL.fullmatch(entry.path)
            if entry.path not in claimed and not of_no_step:
                raise refused(self.place, f"{entry.path} does not belong to a step")

    def steps(self) -> Iterator[StepFiles]:
        """Yield the steps whose records the bundle has."""
        files = {entry.path: entry for entry in self.about.files}
        for path, entry in files.items():
            if path.startswith(RECORDS):
                try:
                    record = parse_record(b"".join(self.blocks(entry)))
                except ValueError as error:
                    raise refused(self.place, f"{path} is not a record") from error
                mine = [files[name] for name in _files_of(record, path) if name in files]
                yield StepFiles(Path(path).stem, path, record, mine)


def _files_of(record: Provenance, path: str) -> list[str]:
    """Return the files of a step, by its record: outputs, settings, the record itself."""
    named = path.removeprefix(RECORDS).removesuffix(".json")
    return [*(entry.path for entry in record.outputs), f"{SETTINGS}{named}.{record.key}.json", path]


@contextmanager
def open_bundle(
    source: Path | IO[bytes], place: str, *, max_gb: float = MAX_GB, room: Path | None = None
) -> Iterator[OpenBundle]:
    """Open a bundle and check everything that can be checked without reading its files.

    Error messages name its ``place``. Its files may have ``max_gb`` (10⁹ bytes) in total, and the disk of the
    folder ``room``, if given, must have room for them.

    Raises:
        UserError: it is not a bundle, or a hostile one.
    """
    try:
        _refuse_huge_listing(source, place)
        archive = zipfile.ZipFile(source)
    except _BROKEN as error:
        raise refused(place, f"is not a complete ZIP file ({visible(str(error))})") from error
    with archive:
        try:
            members = archive.infolist()
            _check_members(members, archive, place)
            about = _read_manifest(members[0], archive, place)
            _check_contents(about, members[1:], place)
        except _BROKEN as error:
            raise refused(place, f"cannot be read ({visible(str(error))})") from error
        total = sum(entry.size for entry in about.files)
        free = shutil.disk_usage(room).free if room else total
        if total > max_gb * 1e9:
            hint = f"Nothing was written. `--max-gb {total / 1e9:.0f}` allows it"
            raise UserError(f"contains {total / 1e9:.1f} GB, more than {max_gb:g}", where=place, hint=hint)
        if total > free:
            what = f"contains {total / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free here"
            raise UserError(what, where=place, hint="Nothing was written. Make room, and import again")
        yield OpenBundle(place, about, partial(_read, archive))


def _read(archive: zipfile.ZipFile, entry: Output) -> Iterator[bytes]:
    with archive.open(entry.path) as member:
        yield from iter(partial(member.read, BLOCK), b"")


def check_beside(path: Path) -> None:
    """Compare a bundle with the checksums beside it, if there are any.

    Raises:
        UserError: they differ.
    """
    noted = {name: path.with_name(f"{path.name}.{name}") for name in DIGESTS}
    there = {name: file.read_text(errors="replace")[:64] for name, file in noted.items() if file.is_file()}
    found = digests_of(path) if there else {}
    for name, text in there.items():
        if text.split(" ")[0] != found[name]:
            raise refused(str(path), f"does not have the {name.upper()} in {noted[name].name}")


def refused(place: str, what: str) -> UserError:
    """Return the error for a bundle that is damaged or hostile."""
    return UserError(visible(what), where=place, hint=HINT)


def _refuse_huge_listing(source: Path | IO[bytes], place: str) -> None:
    """Refuse a directory of members that would fill the memory, as zipfile reads it at once."""
    with source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 65_557 - _ZIP64.size))
        before, _, end = file.read().rpartition(_END)
    if len(end) < 18:
        raise refused(place, "is not a ZIP file, or only the beginning of one")
    sizes = [int.from_bytes(end[8:12], "little")]
    if before[-20:-16] == b"PK\6\7":
        mark, size = _ZIP64.unpack(before[-_ZIP64.size :].rjust(_ZIP64.size))
        sizes.append(size if mark == b"PK\6\6" else MOST_MANIFEST + 1)
    if max(sizes) > MOST_MANIFEST:
        raise refused(place, "has more members than any session")


def _check_members(members: list[zipfile.ZipInfo], archive: zipfile.ZipFile, place: str) -> None:
    """Refuse members that are not plain files with consistent sizes, each in a place of its own."""
    if not members or members[0].filename != MANIFEST:
        raise refused(place, f"is not a bundle: it does not begin with {MANIFEST}")
    for member in members:
        name = member.orig_filename
        if name != member.filename:
            raise refused(place, f"{name!r} is not a plain file name")
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG) or member.is_dir():
            raise refused(place, f"{name} is a link, a device or a folder")
        if member.flag_bits & 0x2041:
            raise refused(place, f"{name} is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise refused(place, f"{name} has an unknown compression")
        if member.compress_type == zipfile.ZIP_STORED and member.compress_size != member.file_size:
            raise refused(place, f"{name} has two different sizes")
        if member.file_size > MOST_RATIO * member.compress_size + BLOCK:
            raise refused(place, f"{name} is compressed more than {MOST_RATIO} times")
    names = Counter(member.filename.casefold() for member in members)
    if twice := [name for name, count in names.items() if count > 1]:
        raise refused(place, f"has two files named {twice[0]}")
    spans = sorted(_span(member, archive) for member in members)
    if spans[0][0] != 0 or any(stop > start for (_, stop), (start, _) in pairwise(spans)):
        raise refused(place, "has overlapping members, or data before them")


def _span(member: zipfile.ZipInfo, archive: zipfile.ZipFile) -> tuple[int, int]:
    """Return the positions in the archive where a member begins and ends."""
    file = archive.fp
    assert file is not None
    file.seek(member.header_offset)
    _, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    start = member.header_offset
    return start, start + _LOCAL_HEADER.size + name + extra + member.compress_size


def _read_manifest(member: zipfile.ZipInfo, archive: zipfile.ZipFile, place: str) -> SessionBundle:
    if member.file_size > MOST_MANIFEST:
        raise refused(place, f"{MANIFEST} is too large")
    with archive.open(member) as file:
        text = file.read(MOST_MANIFEST)
    try:
        about = SessionBundle.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "file"
        raise refused(place, f"{MANIFEST} is not valid ({where}: {problem['msg']})") from error
    if about.schema_version != SessionBundle.version():
        what = f"has schema version {about.schema_version}; this program reads {SessionBundle.version()}"
        raise UserError(what, where=place, hint="Nothing was written. Update this checkout (`git pull`)")
    return about


def _check_contents(about: SessionBundle, members: list[zipfile.ZipInfo], place: str) -> None:
    """Compare a bundle's manifest with its members; refuse files that are not results of its session."""
    _session(about, place)
    try:
        settings.validate(about.settings)
    except UserError as error:
        raise refused(place, f"has unknown settings ({error.where})") from error
    if about.settings.keys() - set(SECTIONS):
        raise refused(place, "has settings that do not concern results")
    edits = corrections.path_of(about.session).as_posix()
    for entry in about.files:
        is_model = MODEL.fullmatch(entry.path) and is_plain(entry.path)
        if entry.path != edits and not is_model and not is_safe(entry.path, about.session):
            raise refused(place, f"{entry.path} is not a result of the session {about.session}")
    listed = [(entry.path, entry.size) for entry in about.files]
    if listed != [(member.filename, member.file_size) for member in members]:
        raise refused(place, f"does not contain what {MANIFEST} lists")


def _session(about: SessionBundle, place: str) -> Session:
    """Return a bundle's session, as the manifest would have it."""
    try:
        found = manifest.parse(about.rows, Path(MANIFEST))
    except UserError as error:
        raise refused(place, f"has an invalid table of sessions ({error.what})") from error
    session = found.get(about.session)
    if session is None or len(found) != 1 or session.problem:
        why = session.problem if session and session.problem else "they belong to another session"
        raise refused(place, f"has wrong rows for the session {about.session} ({why})")
    if sum(row.duration_s for row in session.rows) > manifest.LONGEST_S:
        raise refused(place, "is of a session of impossible length")
    return session
