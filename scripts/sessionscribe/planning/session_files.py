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
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.settings_files import SETTINGS, drop_others
from sessionscribe.planning.steps import STAGES, Folder, Step
from sessionscribe.planning.steps import files as outputs_of

RECORDS = "results/provenance/"
_FOLDERS = {*STAGES, "settings", "provenance"} - {"name"}
"""Where a session has a folder of its own; that of ``name`` is all sessions'."""
_MOST_BYTES = 240
"""Of a name: file systems take 255, and what is being written has a longer one."""
_PART = re.compile(r"\w[\w.-]*")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)


def session_files(plan: SessionPlan) -> list[str]:
    """Return every file that a session's steps make, in their order, with their settings and records."""
    return list(dict.fromkeys(path for work in plan.plan.works for path in files_of(work)))


def finished_files(plan: SessionPlan, root: Path) -> list[str]:
    """Return those files of a session's steps that are there and up to date.

    What all sessions share (enrolled voices) is left out.
    """
    undone = plan.pending.keys() | plan.blocked.keys()
    found: dict[str, None] = {}
    for work in plan.plan.works:
        if work.session != plan.session.name:
            continue
        if isinstance(work, Folder):
            there = {path.name for path in (root / work.path).glob("[!.]*")}
            found |= dict.fromkeys(f"{work.path}/{name}" for name in work.names if name in there)
        elif work.outputs[0] not in undone:
            found |= dict.fromkeys(path for path in files_of(work) if path not in plan.absent)
    return list(found)


def files_of(work: Step | Folder) -> Iterator[str]:
    """Yield all files of a step: its outputs, its settings, and its record last."""
    yield from outputs_of(work)
    if isinstance(work, Step):
        yield from (work.settings_file, work.record)


def is_audio(path: str) -> bool:
    """Return whether a file is converted audio, which is large and can be made again from the recording."""
    return path.endswith(".flac")


def is_plain(path: str) -> bool:
    """Return whether a relative path is valid on any file system, and not hidden.

    What one system takes for another name, folder or device, no system gets.
    """
    return unicodedata.normalize("NFC", path) == path and all(
        _PART.fullmatch(part)
        and not part.endswith(".")
        and not _DEVICE.fullmatch(part)
        and len(part.encode()) <= _MOST_BYTES
        for part in path.split("/")
    )


def is_safe(path: str, session: str) -> bool:
    """Return whether what somebody sent may be written to ``path`` as a result of a session."""
    parts = path.split("/")
    if not is_plain(path) or parts[0] != "results" or not 3 <= len(parts) <= 5:
        return False
    if len(parts) == 3:
        return parts[1] in STAGES and parts[2].startswith(f"{session}.")
    return parts[1] in _FOLDERS and parts[2] == session


@dataclass(frozen=True)
class SessionFile:
    """A file to transport; ``content`` returns its bytes in blocks."""

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
            UserError: it is not what the job that made it wrote down.
        """
        try:
            yield from verified(self.entry, self.content())
        except ValueError as error:
            what = "was changed or damaged after its job had written it"
            hint = "Run `sessionscribe verify`, then run again"
            raise UserError(what, where=self.entry.path, hint=hint) from error

    def add_to(self, archive: zipfile.ZipFile) -> None:
        """Store it in an archive; the same content gives the same bytes."""
        about = zipfile.ZipInfo(self.entry.path)  # of no date
        about.file_size = self.entry.size  # whether it takes the form for large ones
        with archive.open(about, "w") as member:
            for block in self.blocks():
                member.write(block)


def verified(entry: Output, blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of a file block by block, and check it.

    Raises:
        ValueError: it is longer than it should be, or has another checksum.
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

    The records among them and other settings of their steps go first, so these steps stay due if this is
    killed. An error while the contents are read leaves everything as it was.

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
    """Yield files of a session as they are taken elsewhere; records say which outputs are ``left_out``.

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
    """Return a job's record that somebody sent.

    Raises:
        ValueError: it is none, or says that something else than audio may be absent.
    """
    record = Provenance.model_validate_json(seal.unsealed(data))
    if lost := [path for path in record.left_out if not is_audio(path)]:
        raise ValueError(f"{lost[0]} is said to be left out")
    return record


def _digest(root: Path, path: str) -> str:
    """Return the checksum of a file that no record mentions."""
    if path.endswith(".json"):
        try:
            seal.unsealed((root / path).read_bytes())
        except ValueError as error:
            raise UserError(str(error), where=path, hint="Delete it and run again") from error
    return files.sha256(root / path)


def _record_without(record: bytes, left_out: Collection[str]) -> bytes:
    """Return a job's record that says which of its outputs may be absent."""
    content = seal.read_json(record)
    mine = [entry["path"] for entry in content["outputs"] if entry["path"] in left_out]
    if mine == content.get("left_out", []):
        return record
    content["left_out"] = mine
    return seal.sealed(json.dumps(content, ensure_ascii=False, separators=(",", ":"))).encode()
