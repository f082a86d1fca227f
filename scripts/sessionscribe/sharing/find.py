"""Compare the manifest with the recordings' places and the results: what is new, missing, unfinished."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path, PurePosixPath

from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.text import counted
from sessionscribe.manifest import sources
from sessionscribe.manifest.additions import notes
from sessionscribe.manifest.manifest import Row
from sessionscribe.manifest.sources import File, Group
from sessionscribe.planning import status
from sessionscribe.planning.plan import Plan
from sessionscribe.stages.ingest import remote as recordings
from sessionscribe.storage import drive_desktop
from sessionscribe.storage.checksums import FILE, Checksums
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
AT_ONCE = 8
"""Places to search simultaneously: each mostly waits for the network."""
AWAY = ("remote", "clock", "unreachable")
"""Reasons of ``rclone.RcloneError`` that apply to a whole remote, which is not tried twice."""
MANY = 64
"""The largest number of a remote's folders to list one by one."""
STAGE_FOLDERS = ("ingest", "convert", "chunk", "transcribe", "merge", "diarize", "correct", "audit", "export")


@dataclass(frozen=True)
class Finding:
    """A finding: its kind (one of ``KINDS``), what it is about, details.

    ``parts`` are the numbers of the parts that a live session lacks.
    """

    kind: str
    what: str
    more: str = ""
    parts: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind:<13} {visible(self.what)}{f'  ({self.more})' if self.more else ''}"


def survey(plan: Plan, given: Sequence[str]) -> list[Finding]:
    """Return all findings, by kind, from ``given`` places or, if there are none, those of known recordings.

    Raises:
        UserError: a given place of this machine does not exist, and no known recording was in it.
    """
    rows = [row for session in plan.sessions.values() for row in session.session.rows]
    places = _places(rows, given, plan.root, Checksums(plan.root / FILE))
    found = [*places, *_sessions(plan), *_orphans(plan)]
    return sorted(found, key=lambda finding: KINDS.index(finding.kind))


def _places(rows: list[Row], given: Sequence[str], root: Path, checksums: Checksums) -> Iterator[Finding]:
    """Yield what is new, moved, changed or gone where recordings are."""
    known = {row.source: row for row in rows}
    groups: list[Group] = []
    searched: list[str] = []
    reported: list[UserError] = []
    for place, found in _search(given or _folders(known), given, known):
        if not isinstance(found, UserError):
            groups += found
            searched.append(place)
        elif found not in reported:
            reported.append(found)
            yield Finding("unreachable", place, found.what)
    noted = notes((file for group in groups for file in group.files), root)
    there = set(noted.values())
    groups = yield from _without_faulty(groups)
    missing = {source: row for source, row in known.items() if source not in there}
    would_be_found = _covers(searched)
    gone = {s: row for s, row in missing.items() if would_be_found(s) and not _is_here(s)}
    lost = {row.checksum: row for row in gone.values() if row.checksum}
    for group in groups:
        new = []
        for file in group.files:
            row = known.get(noted[file])
            checksum = _checksum(file, checksums) if row is not None or lost else ""
            if row is not None:
                if row.checksum and checksum != row.checksum:
                    yield Finding("changed", row.source, f"session {row.session}")
            elif checksum in lost:
                moved = lost.pop(checksum)
                del gone[moved.source]
                yield Finding("moved", moved.source, f"is now {visible(noted[file])}")
            else:
                new.append(file)
        if len(group.transcribed) < len(group.files) and group.layout == "live" and group.files[0].item:
            lacking = len(group.files) - len(group.transcribed)
            more = f"{lacking} of {len(group.files)} parts have no transcript beside them"
            yield Finding("untranscribed", parent(noted[group.files[0]]), more)
        if new:
            what = noted[new[0]] if group.layout == "recording" else parent(noted[new[0]])
            yield Finding("new", what, f"{group.layout}, {counted(len(new), 'file')}")
    checksums.write()
    for source, row in gone.items():
        yield Finding("gone", source, f"session {row.session}")


def _search(
    places: Sequence[str], given: Sequence[str], known: Iterable[str]
) -> Iterator[tuple[str, list[Group] | UserError]]:
    """Yield the places, each with the recordings there or why it could not be searched."""
    away: dict[str, UserError] = {}

    def look(place: str) -> list[Group] | UserError:
        remote = split(place)[0] if is_remote(place) else place
        if remote in away:
            return away[remote]
        try:
            return sources.discover([place])
        except UserError as error:
            if error.what.startswith("holds no"):
                return []
            if "does not exist" in error.what:
                if place in given and not is_remote(place):
                    _refuse_unknown(place, known)
                return []
            if getattr(error, "reason", "") in AWAY:
                return away.setdefault(remote, error)
            return error

    with ThreadPoolExecutor(AT_ONCE) as threads:
        yield from zip(places, threads.map(look, places), strict=True)


def _without_faulty(groups: Sequence[Group]) -> Generator[Finding, None, list[Group]]:
    """Yield the files that cannot be read as recordings; return the groups without them."""
    kept = []
    for group in groups:
        faults = {file: file.item.fault for file in group.files if file.item and file.item.fault}
        yield from (Finding("unreachable", file.source, fault) for file, fault in faults.items())
        if files := tuple(file for file in group.files if file not in faults):
            kept.append(replace(group, files=files))
    return kept


def _folders(known: Iterable[str]) -> list[str]:
    """Return the places to search: local folders one by one, and on remotes the places of `look_below`.

    On a server, paths with and without a leading slash are separate: the latter are in the user's folder.
    Of `s3://` each bucket is a root, as others' buckets are beside it.
    """
    local: dict[str, None] = {}
    remote: dict[tuple[str, bool], set[PurePosixPath]] = {}
    for source in known:
        if is_remote(source):
            root, path = split(source)
            if root == "s3://":
                bucket, _, path = path.partition("/")
                root, path = f"{root}{bucket}/", path.lstrip("/")
            remote.setdefault((root, path.startswith("/")), set()).add(PurePosixPath(path).parent)
        else:
            local[parent(source)] = None
    places = (f"{root}{place}" for (root, _), folders in remote.items() for place in look_below(folders))
    return [*local, *places]


def look_below(folders: Set[PurePosixPath]) -> list[str]:
    """Return the places of one remote to search to cover ``folders`` of recordings, and little else.

    Remotes are searched recursively, and a Drive with recordings may hold much besides. So these are the
    folders themselves, without those below another, except that

    - several folders side by side are replaced by their parent, where new sessions will appear;
    - more than ``MANY`` folders are replaced by their lowest common parents, as listing each takes minutes;
    - of the remote's root, only the files directly in it are listed.
    """
    beside = Counter(folder.parent for folder in folders if not _is_root(folder))
    joined = {
        folder.parent if beside[folder.parent] > 1 and not _is_root(folder.parent) else folder
        for folder in folders
        if not _is_root(folder)
    }
    places = _outermost(joined)
    while len(places) > MANY:
        above = Counter(folder for place in places for folder in place.parents if not _is_root(folder))
        crowded = [folder for folder, count in above.items() if count > MANY]
        if not crowded:
            break
        lowest = max(len(folder.parts) for folder in crowded)
        places = _outermost({*places, *(folder for folder in crowded if len(folder.parts) == lowest)})
    roots = {folder for folder in folders if _is_root(folder)}
    return sorted([*(str(place) for place in places), *(str(root / "*") for root in roots)])


def _is_root(folder: PurePosixPath) -> bool:
    return folder == folder.parent


def _outermost(folders: Set[PurePosixPath]) -> set[PurePosixPath]:
    """Return the folders that are not below another one."""
    return {folder for folder in folders if not any(above in folders for above in folder.parents)}


def _covers(places: Iterable[str]) -> Callable[[str], bool]:
    """Return a function that tells whether a source would be found by a search of these places."""
    here = {_on_this_machine(place) for place in places if not is_remote(place)}
    far = [place for place in places if is_remote(place)]

    def covers(source: str) -> bool:
        if is_remote(source):
            return any(_is_below(source, place) for place in far)
        return _on_this_machine(parent(source)) in here

    return covers


def _refuse_unknown(place: str, known: Iterable[str]) -> None:
    """Refuse a folder that does not exist, unless known recordings were in it: these are reported as gone.

    Raises:
        UserError: there were none.
    """
    if not any(map(_covers([place]), known)):
        raise UserError("does not exist", where=place, hint="Check the name, which is case-sensitive")


def _is_below(source: str, place: str) -> bool:
    """Return whether a remote source is below a place, or directly in a root (``remote:*``)."""
    if place.endswith((":*", "/*")):
        above = parent(source)
        return place[:-1] == (above if above.endswith((":", "/")) else f"{above}/")
    if split(source)[1].startswith("/") != split(place)[1].startswith("/"):
        return False
    return source.startswith(place if place.endswith((":", "/")) else f"{place}/")


def _on_this_machine(place: str) -> Path:
    if drive_desktop.may_be_in_drive(place) and not Path(place).exists():
        place = f"{DRIVE_DESKTOP}:{place}"
    try:
        return (recordings.local_path(place) or Path(place)).resolve()
    except UserError:  # no Drive folder here
        return Path(place)


def _is_here(source: str) -> bool:
    """Return whether a recording exists on this machine, whatever its name ends with."""
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


def _sessions(plan: Plan) -> Iterator[Finding]:
    for row in status.collect(plan):
        parts = tuple(status.missing_parts(plan.sessions[row.session]))
        lacks = f"{counted(len(parts), 'part')} missing in the recording: {_ranges(parts)}" if parts else ""
        if row.status == "pending":
            kind, more = "unprocessed", f"{row.hours:.2f} h"
        elif row.status == "failed":
            kind, more = "failed", row.failures[0]
        elif row.status != "complete":
            kind, more = "incomplete", f"{row.status}, {row.chunks_done}/{row.chunks} chunks"
        elif parts:
            kind, more = "incomplete", ""
        else:
            continue
        yield Finding(kind, row.session, "; ".join(filter(None, (more, lacks))), parts)


def _ranges(numbers: Iterable[int]) -> str:
    """Return ascending numbers as text: ``3, 5-7``."""
    runs = (list(run) for _, run in groupby(enumerate(numbers), key=lambda found: found[1] - found[0]))
    return ", ".join(str(run[0][1]) if len(run) == 1 else f"{run[0][1]}-{run[-1][1]}" for run in runs)


def _orphans(plan: Plan) -> Iterator[Finding]:
    """Yield sessions that have results but are not in the manifest."""
    folders: dict[str, list[str]] = {}
    for stage in STAGE_FOLDERS:
        top = plan.root / "results" / stage
        for name in sorted({entry.name.partition(".")[0] for entry in top.iterdir()} if top.is_dir() else ()):
            if name and name not in plan.sessions:
                folders.setdefault(name, []).append(f"results/{stage}")
    for name, places in folders.items():
        yield Finding("orphaned", name, ", ".join(places))
