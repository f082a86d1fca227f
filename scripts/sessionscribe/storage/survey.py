"""What is new, unprocessed, incomplete, failed or orphaned: the manifest against its places and results."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sessionscribe import sources, status
from sessionscribe.additions import note
from sessionscribe.agenda import Agenda
from sessionscribe.errors import UserError, visible
from sessionscribe.manifest import Row
from sessionscribe.sources import File, Group
from sessionscribe.storage import drive_desktop, recordings
from sessionscribe.storage.checksums import Checksums
from sessionscribe.storage.locations import DRIVE_DESKTOP, is_remote, parent, split

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
    places = _places(rows, given, agenda.root, Checksums(checksums), s3_remote)
    found = [*places, *_sessions(agenda), *_orphans(agenda)]
    return sorted(found, key=lambda finding: KINDS.index(finding.kind))


def _places(
    rows: list[Row], given: Sequence[str], root: Path, checksums: Checksums, s3_remote: str
) -> Iterator[Finding]:
    """Yield what is new, moved, changed or gone where recordings lie."""
    known = {row.source: row for row in rows}
    groups: list[Group] = []
    looked = _Looked()
    for place in given or _folders(rows):
        try:
            groups += sources.discover([place], s3_remote=s3_remote)
        except UserError as error:
            if not (error.what.startswith("holds no") or "does not exist" in error.what):
                yield Finding("unreachable", place, error.what)
                continue
        looked.add(place)
    noted = {file: note(file, root) for group in groups for file in group.files}
    there = set(noted.values())
    gone = {
        source: row
        for source, row in known.items()
        if source not in there and source in looked and not _is_here(source)
    }
    lost = {row.checksum: row for row in gone.values() if row.checksum}
    wanted = bool(lost)
    for group in groups:
        new = []
        for file in group.files:
            row = known.get(noted[file])
            checksum = _checksum(file, checksums) if row is not None or wanted else ""
            if row is not None:
                if row.checksum and checksum != row.checksum:
                    yield Finding("changed", row.source, f"session {row.session}")
            elif checksum in lost:
                moved = lost.pop(checksum)
                del gone[moved.source]
                yield Finding("moved", moved.source, f"is now {visible(noted[file])}")
            else:
                new.append(file)
        if len(group.transcribed) < len(group.files) and group.shape == "live" and group.files[0].item:
            missing = len(group.files) - len(group.transcribed)
            more = f"{missing} of {len(group.files)} parts have no transcript beside them"
            yield Finding("untranscribed", parent(noted[group.files[0]]), more)
        if new:
            what = noted[new[0]] if group.shape == "recording" else parent(noted[new[0]])
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


class _Looked:
    """The places that were looked at: folders of this machine, however they are written, and of remotes."""

    def __init__(self) -> None:
        self._here: set[Path] = set()
        self._far: list[str] = []

    def add(self, place: str) -> None:
        """Note a place."""
        if is_remote(place):
            self._far.append(place)
        else:
            self._here.add(_on_this_machine(place))

    def __contains__(self, source: str) -> bool:
        """Tell whether a source would have been found."""
        if not is_remote(source):
            return _on_this_machine(parent(source)) in self._here
        return any(_is_below(source, place) for place in self._far)


def _is_below(source: str, place: str) -> bool:
    """Tell whether a remote source is below a place."""
    if split(source)[1].startswith("/") != split(place)[1].startswith("/"):
        return False
    return source.startswith(place if place.endswith((":", "/")) else f"{place}/")


def _on_this_machine(place: str) -> Path:
    """Return the path of a folder, however it is written."""
    if drive_desktop.may_be_in_drive(place) and not Path(place).exists():
        place = f"{DRIVE_DESKTOP}:{place}"
    try:
        return (recordings.local_path(place) or Path(place)).resolve()
    except UserError:  # there is no Drive here
        return Path(place)


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
