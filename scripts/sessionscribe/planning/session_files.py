"""The files of a session, for transport: which exist, and what their records say."""

from __future__ import annotations

import json
import re
import unicodedata
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from sessionscribe.artifacts.provenance import Output, Provenance
from sessionscribe.core import files, seal
from sessionscribe.core.errors import UserError
from sessionscribe.planning.results import SETTINGS, drop_others
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.steps import STAGES, Folder, Step

RECORDS = "results/provenance/"
_FOLDERS = {*STAGES, "settings", "provenance"} - {"name"}
"""Folders of `results` in which each session has a folder; ``name/voices`` is shared by all."""
_MOST_BYTES = 240
"""Longest file name: file systems allow 255 bytes, and temporary names are longer."""
_PART = re.compile(r"\w[\w.-]*")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)


def session_files(plan: SessionPlan) -> list[str]:
    """Return all files of a session's steps, in order, with settings and records."""
    return list(dict.fromkeys(path for work in plan.steps.works for path in files_of(work)))


def finished_files(plan: SessionPlan, root: Path) -> list[str]:
    """Return the existing files of a session's steps that are up to date, without shared ones (voices)."""
    undone = plan.pending.keys() | plan.blocked.keys()
    found: dict[str, None] = {}
    for work in plan.steps.works:
        if work.session != plan.session.name:
            continue
        if isinstance(work, Folder):
            there = {path.name for path in (root / work.path).glob("[!.]*")}
            found |= dict.fromkeys(f"{work.path}/{name}" for name in work.names if name in there)
        elif work.outputs[0] not in undone:
            found |= dict.fromkeys(path for path in files_of(work) if path not in plan.absent)
    return list(found)


def files_of(work: Step | Folder) -> Iterator[str]:
    """Yield all files of a step: outputs, settings, and last the record."""
    yield from work.outputs
    if isinstance(work, Step):
        yield from (work.settings_file, work.record)


def is_audio(path: str) -> bool:
    """Return whether a file is converted audio, which can be recreated from the recording."""
    return path.endswith(".flac")


def is_plain(path: str) -> bool:
    """Return whether a relative path is not hidden, and valid and unambiguous on any file system."""
    return unicodedata.normalize("NFC", path) == path and all(
        _PART.fullmatch(part)
        and not part.endswith(".")
        and not _DEVICE.fullmatch(part)
        and len(part.encode()) <= _MOST_BYTES
        for part in path.split("/")
    )


def is_safe(path: str, session: str) -> bool:
    """Return whether an untrusted file may be written to ``path`` as a result of a session."""
    parts = path.split("/")
    if not is_plain(path) or parts[0] != "results" or not 3 <= len(parts) <= 5:
        return False
    if len(parts) == 3:
        return parts[1] in STAGES and parts[2].startswith(f"{session}.")
    return parts[1] in _FOLDERS and parts[2] == session


@dataclass(frozen=True)
class SessionFile:
    """A file for transport; ``content`` returns its bytes in blocks."""

    entry: Output
    content: Callable[[], Iterable[bytes]]

    @classmethod
    def of(cls, path: str, data: bytes) -> SessionFile:
        """Return a file with this content."""
        entry = Output(path=path, size=len(data), sha256=sha256(data).hexdigest())
        return cls(entry, lambda: (data,))

    def blocks(self) -> Iterator[bytes]:
        """Yield its content.

        Raises:
            UserError: it differs from the job's record.
        """
        try:
            yield from verified(self.entry, self.content())
        except ValueError as error:
            what = "was changed or damaged after its job had written it"
            hint = "Run `sessionscribe verify`, then run again"
            raise UserError(what, where=self.entry.path, hint=hint) from error

    def add_to(self, archive: zipfile.ZipFile) -> None:
        """Store the file in an archive, without a date, so that equal content gives equal bytes."""
        about = zipfile.ZipInfo(self.entry.path)
        about.file_size = self.entry.size  # decides on ZIP64
        with archive.open(about, "w") as member:
            for block in self.blocks():
                member.write(block)


def verified(entry: Output, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of a file block by block, and check it.

    Raises:
        ValueError: size or checksum differ from the entry.
    """
    digest, left = sha256(), entry.size
    for block in blocks:
        digest.update(block)
        left -= len(block)
        if left < 0:
            break
        yield block
    if left or digest.hexdigest() != entry.sha256:
        raise ValueError(f"{entry.path} has another checksum")


def write_files(root: Path, contents: Iterable[tuple[str, Iterable[bytes]]]) -> list[str]:
    """Write files of a session that come from elsewhere, all or none; return their paths.

    Existing records and other settings of the same steps are removed before, so these steps stay due if this
    is killed. If reading the contents fails, nothing changes.

    Args:
        root: the project's folder.
        contents: paths and contents in blocks; a step's record follows its other files.
    """
    paths: list[str] = []

    def noted() -> Iterator[tuple[str, Iterable[bytes]]]:
        for path, blocks in contents:
            paths.append(path)
            yield path, blocks

    with files.staged(root, noted()):
        for path in paths:
            if path.startswith(RECORDS):
                (root / path).unlink(missing_ok=True)
            elif path.startswith(SETTINGS):
                drop_others(root / path)
    return paths


def files_to_pack(root: Path, paths: Iterable[str], left_out: Collection[str]) -> Iterator[SessionFile]:
    """Yield files of a session for transport; records list which outputs are ``left_out``.

    Raises:
        UserError: a file is damaged.
    """
    paths = list(paths)
    noted: dict[str, str] = {}
    for path in paths:
        if path.startswith(RECORDS):
            record = Provenance.read(root / path)
            noted.update({entry.path: entry.sha256 for entry in (*record.inputs, *record.outputs)})
    for path in paths:
        if path.startswith(RECORDS):
            yield SessionFile.of(path, _record_without((root / path).read_bytes(), left_out))
        else:
            digest = noted.get(path) or _digest(root, path)
            entry = Output(path=path, size=(root / path).stat().st_size, sha256=digest)
            yield SessionFile(entry, partial(files.blocks, root / path))


def parse_record(data: bytes) -> Provenance:
    """Return an untrusted record.

    Raises:
        ValueError: it is not valid, or says that something other than audio may be absent.
    """
    record = Provenance.model_validate_json(seal.unsealed(data))
    if lost := [path for path in record.left_out if not is_audio(path)]:
        raise ValueError(f"{lost[0]} is said to be left out")
    return record


def _digest(root: Path, path: str) -> str:
    """Return the checksum of a file that is in no record."""
    if path.endswith(".json"):
        try:
            seal.unsealed((root / path).read_bytes())
        except ValueError as error:
            raise UserError(str(error), where=path, hint="Delete it and run again") from error
    return files.sha256(root / path)


def _record_without(record: bytes, left_out: Collection[str]) -> bytes:
    """Return a record that lists which of its outputs may be absent."""
    content = seal.read_json(record)
    mine = [entry["path"] for entry in content["outputs"] if entry["path"] in left_out]
    if mine == content.get("left_out", []):
        return record
    content["left_out"] = mine
    return seal.sealed(json.dumps(content, ensure_ascii=False, separators=(",", ":"))).encode()
