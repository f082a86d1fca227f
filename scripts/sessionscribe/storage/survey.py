"""What is new, unprocessed, incomplete, failed or orphaned: the manifest against its places and results."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sessionscribe import sources, status
from sessionscribe.agenda import Agenda
from sessionscribe.errors import UserError, visible
from sessionscribe.manifest import Row
from sessionscribe.sources import File, Group
from sessionscribe.storage import recordings
from sessionscribe.storage.checksums import Checksums
from sessionscribe.storage.locations import is_remote, parent, split

KINDS = (
    "new",
    "moved",
    "changed",
    "gone",
    "untranscribed",
    "unprocessed",
    "incomplete",
    "failed",
    "orphaned",
    "unreachable",
)
STAGE_FOLDERS = ("ingest", "convert", "chunk", "transcribe", "merge", "diarize", "correct", "audit", "export")


@dataclass(frozen=True)
class Finding:
    """One thing that was found: its kind (one of ``KINDS``), what it is about, more about it."""

    kind: str
    what: str
    more: str = ""

    def __str__(self) -> str:
        return f"{self.kind:<13} {visible(self.what)}{f'  ({self.more})' if self.more else ''}"


def survey(agenda: Agenda, given: Sequence[str], *, checksums: Path, s3_remote: str) -> list[Finding]:
    """Return what there is to know, by kind.

    Args:
        agenda: the sessions against their results.
        given: places to look at for new recordings; none: those of the manifest's recordings.
        checksums: the file with checksums of local files.
        s3_remote: the remote that stands for `s3://`.
    """
    rows = [row for session in agenda.sessions.values() for row in session.session.rows]
    found = [*_places(rows, given, Checksums(checksums), s3_remote), *_sessions(agenda), *_orphans(agenda)]
    return sorted(found, key=lambda finding: KINDS.index(finding.kind))


def _places(rows: list[Row], given: Sequence[str], checksums: Checksums, s3_remote: str) -> Iterator[Finding]:
    """Yield what is new, moved, changed or gone where recordings lie."""
    known = {row.source: row for row in rows}
    groups: list[Group] = []
    looked: list[str] = []
    for place in given or _folders(rows):
        try:
            groups += sources.discover([place], s3_remote=s3_remote)
        except UserError as error:
            if not (error.what.startswith("holds no") or "does not exist" in error.what):
                yield Finding("unreachable", place, error.what)
                continue
        looked.append(place)
    there = {_noted(file): file for group in groups for file in group.files}
    gone = {
        source: row
        for source, row in known.items()
        if source not in there and any(_is_in(source, place) for place in looked) and not _is_here(source)
    }
    lost = {row.checksum: row for row in gone.values() if row.checksum}
    wanted = bool(lost)
    for group in groups:
        new = []
        for file in group.files:
            row = known.get(_noted(file))
            checksum = _checksum(file, checksums) if row is not None or wanted else ""
            if row is not None:
                if row.checksum and checksum != row.checksum:
                    yield Finding("changed", row.source, f"session {row.session}")
            elif checksum in lost:
                moved = lost.pop(checksum)
                del gone[moved.source]
                yield Finding("moved", moved.source, f"is now {visible(_noted(file))}")
            else:
                new.append(file)
        if len(group.transcribed) < len(group.files) and group.shape == "live" and group.files[0].item:
            missing = len(group.files) - len(group.transcribed)
            more = f"{missing} of {len(group.files)} parts have no transcript beside them"
            yield Finding("untranscribed", parent(_noted(group.files[0])), more)
        if new:
            what = _noted(new[0]) if group.shape == "recording" else parent(_noted(new[0]))
            yield Finding("new", what, f"{group.shape}, {len(new)} file{'s' * (len(new) > 1)}")
    checksums.write()
    for source, row in gone.items():
        yield Finding("gone", source, f"session {row.session}")


def _folders(rows: list[Row]) -> list[str]:
    """Return where to look: local folders one by one, of a remote the folder that has them all below it.

    On a server, what begins with a slash and what does not may lie apart: the latter is in the user's folder.
    """
    local: dict[str, None] = {}
    remote: dict[tuple[str, str, bool], list[PurePosixPath]] = {}
    for row in rows:
        if is_remote(row.source):
            root, name = split(row.source)
            path = PurePosixPath(name)
            bucket = path.parts[0] if root == "s3://" else ""
            remote.setdefault((root, bucket, path.is_absolute()), []).append(path.parent)
        else:
            local[parent(row.source)] = None
    return [*local, *(f"{root}{os.path.commonpath(paths)}" for (root, *_), paths in remote.items())]


def _noted(file: File) -> str:
    """Return a file's source as the manifest has it, where the folder was noted by the manifest."""
    return file.source if file.path is None else file.source.removeprefix("./")


def _is_in(source: str, place: str) -> bool:
    if is_remote(source) != is_remote(place):
        return False
    if not is_remote(source):
        return Path(parent(source)) == Path(place)
    if split(source)[1].startswith("/") != split(place)[1].startswith("/"):
        return False
    return source.startswith(place if place.endswith((":", "/")) else f"{place}/")


def _is_here(source: str) -> bool:
    """Tell whether a recording is on this machine: what was added by name may have any ending."""
    try:
        path = recordings.local_path(source)
    except UserError:
        return False
    return path is not None and path.exists()


def _checksum(file: File, checksums: Checksums) -> str:
    if file.item is not None:
        return file.item.checksum
    try:
        return checksums.sha256(recordings.local_path(file.source) or Path(file.source))
    except OSError:
        return ""


def _sessions(agenda: Agenda) -> Iterator[Finding]:
    words: dict[str, Callable[[status.SessionStatus], str]] = {
        "pending": lambda row: f"{row.hours:.2f} h",
        "failed": lambda row: row.failures[0],
    }
    for row in status.collect(agenda):
        if row.status in words:
            kind = "unprocessed" if row.status == "pending" else "failed"
            yield Finding(kind, row.session, words[row.status](row))
        elif row.status != "complete":
            yield Finding("incomplete", row.session, f"{row.status}, {row.chunks_done}/{row.chunks} chunks")
        elif row.gaps:
            yield Finding("incomplete", row.session, f"{row.gaps} parts are missing in the recording")


def _orphans(agenda: Agenda) -> Iterator[Finding]:
    """Yield sessions that have results, but no row in the manifest."""
    folders: dict[str, list[str]] = {}
    for stage in STAGE_FOLDERS:
        top = agenda.root / "results" / stage
        for name in sorted({entry.name.partition(".")[0] for entry in top.iterdir()} if top.is_dir() else ()):
            if name and name not in agenda.sessions:
                folders.setdefault(name, []).append(f"results/{stage}")
    for name, places in folders.items():
        yield Finding("orphaned", name, ", ".join(places))
