"""The files of a session, to be taken elsewhere: which there are, and what their jobs wrote down of them."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from sessionscribe.artifacts.provenance import Provenance
from sessionscribe.core import seal
from sessionscribe.core.errors import UserError
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.steps import STAGES, Folder, Step, files

RECORDS = "results/provenance/"
_FOLDERS = frozenset({*STAGES, "settings", "provenance"})
_PART = re.compile(r"\w[\w.-]{0,199}")
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
    """Yield all that a step leaves: its outputs, then its settings, and its record last."""
    yield from files(work)
    if isinstance(work, Step):
        yield from (work.settings_file, work.record)


def is_audio(path: str) -> bool:
    """Return whether a file is converted audio, which is large and can be made again from the recording."""
    return path.endswith(".flac")


def is_safe(path: str, session: str) -> bool:
    """Return whether what somebody sent may be written to ``path`` as a result of a session.

    Only plain names are: what one system takes for another name, folder or device, no system gets.
    """
    parts = path.split("/")
    plain = all(
        _PART.fullmatch(part) and not part.endswith(".") and not _DEVICE.fullmatch(part) for part in parts
    )
    if not plain or unicodedata.normalize("NFC", path) != path:
        return False
    if parts[0] != "results" or len(parts) < 3 or parts[1] not in _FOLDERS:
        return False
    return parts[2] == session if len(parts) > 3 else parts[2].startswith(f"{session}.")


def recorded(root: Path, paths: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 that the records among these files have for files, by path."""
    found = {}
    for path in paths:
        if path.startswith(RECORDS):
            record = Provenance.read(root / path)
            found.update({entry.path: entry.sha256 for entry in (*record.inputs, *record.outputs)})
    return found


def record_without(record: bytes, left_out: Collection[str]) -> bytes:
    """Return a job's record that says which of its outputs may be absent."""
    content = json.loads(seal.unsealed(record))
    mine = [entry["path"] for entry in content["outputs"] if entry["path"] in left_out]
    if mine == content.get("left_out", []):
        return record
    content["left_out"] = mine
    return seal.sealed(json.dumps(content, ensure_ascii=False, separators=(",", ":"))).encode()


def changed(path: str) -> UserError:
    """Return the error for a file that is not what the job that made it wrote down."""
    what = "is not what the job that made it wrote: it was changed or damaged since"
    return UserError(what, where=path, hint="Run `sessionscribe verify` and run again")
