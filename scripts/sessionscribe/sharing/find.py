"""What is new, unprocessed, incomplete, failed or orphaned: the manifest against its places and results."""

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
AT_ONCE = 8
"""Places that are looked at at the same time: each waits for the network most of the time."""
AWAY = ("remote", "clock", "unreachable")
"""Reasons of ``rclone.RcloneError`` that hold for a whole remote: it is not waited for twice."""
MANY = 64
"""Folders of a remote that are listed one by one, at most."""
STAGE_FOLDERS = ("ingest", "convert", "chunk", "transcribe", "merge", "diarize", "correct", "audit", "export")


@dataclass(frozen=True)
class Finding:
    """One thing that was found: its kind (one of ``KINDS``), what it is about, more about it.

    ``parts`` are the numbers of those that a live session lacks.
    """

    kind: str
    what: str
    more: str = ""
    parts: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind:<13} {visible(self.what)}{f'  ({self.more})' if self.more else ''}"


def survey(plan: Plan, given: Sequence[str], *, checksums: Path, s3_remote: str) -> list[Finding]:
    """Return what there is to know, by kind.

    Args:
        plan: the sessions against their results.
        given: places to look at for new recordings; none: those of the manifest's recordings.
        checksums: the file with checksums of local files.
        s3_remote: the remote that stands for `s3://`.

    Raises:
        UserError: a place of this machine that was given is not there, and no known recording lay in it.
    """
    rows = [row for session in plan.sessions.values() for row in session.session.rows]
    places = _places(rows, given, plan.root, Checksums(checksums), s3_remote)
    found = [*places, *_sessions(plan), *_orphans(plan)]
    return sorted(found, key=lambda finding: KINDS.index(finding.kind))


def _places(
    rows: list[Row], given: Sequence[str], root: Path, checksums: Checksums, s3_remote: str
) -> Iterator[Finding]:
    """Yield what is new, moved, changed or gone where recordings lie."""
    known = {row.source: row for row in rows}
    groups: list[Group] = []
    looked = _Looked()
    places = given or _folders(row.source for row in rows)

    away: dict[str, UserError] = {}

    def look(place: str) -> list[Group] | UserError:
        remote = split(place)[0] if is_remote(place) else place
        if remote in away:
            return away[remote]
        try:
            return sources.discover([place], s3_remote=s3_remote)
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

    told: list[UserError] = []
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for place, found in zip(places, threads.map(look, places), strict=True):
            if not isinstance(found, UserError):
                groups += found
                looked.add(place)
            elif found not in told:
                told.append(found)
                yield Finding("unreachable", place, found.what)
    noted = notes((file for group in groups for file in group.files), root)
    there = set(noted.values())
    groups = yield from _tell_faults(groups)
    gone = {
        source: row
        for source, row in known.items()
        if source not in there and source in looked and not _is_here(source)
    }
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
            missing = len(group.files) - len(group.transcribed)
            more = f"{missing} of {len(group.files)} parts have no transcript beside them"
            yield Finding("untranscribed", parent(noted[group.files[0]]), more)
        if new:
            what = noted[new[0]] if group.layout == "recording" else parent(noted[new[0]])
            yield Finding("new", what, f"{group.layout}, {len(new)} file{'s' * (len(new) > 1)}")
    checksums.write()
    for source, row in gone.items():
        yield Finding("gone", source, f"session {row.session}")


def _tell_faults(groups: Sequence[Group]) -> Generator[Finding, None, list[Group]]:
    """Yield what cannot be read as a recording; return the groups without it."""
    kept = []
    for group in groups:
        faults = {file: file.item.fault for file in group.files if file.item and file.item.fault}
        yield from (Finding("unreachable", file.source, fault) for file, fault in faults.items())
        if files := tuple(file for file in group.files if file not in faults):
            kept.append(replace(group, files=files))
    return kept


def _folders(known: Iterable[str]) -> list[str]:
    """Return where to look for recordings: local folders one by one, of remotes what `look_below` says.

    On a server, what begins with a slash and what does not may lie apart: the latter is in the user's folder.
    Of `s3://` each bucket is a root: others' are beside it, and what else is in it is as good as another's.
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
    """Return the places of one remote at which all ``folders`` of recordings are found, and not much else.

    A remote is searched with all folders below a place, and that recordings lie on one Drive says nothing of
    what else lies there. So these are the folders themselves, without those below another, but

    - of several that lie side by side the folder above: sessions are put there, and new ones will be;
    - of more than ``MANY`` the lowest folders that so many lie below: a listing of each would take minutes;
    - of the remote's root, which is never searched for the sake of what lies below it, its own files only.
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
    """Return the folders that lie below no other."""
    return {folder for folder in folders if not any(above in folders for above in folder.parents)}


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
        """Return whether a source would have been found."""
        if not is_remote(source):
            return _on_this_machine(parent(source)) in self._here
        return any(_is_below(source, place) for place in self._far)


def _refuse_unknown(place: str, known: Iterable[str]) -> None:
    """Refuse a folder that is not there, but where known recordings lay: that they are gone says it.

    Raises:
        UserError: none lay there.
    """
    looked = _Looked()
    looked.add(place)
    if not any(source in looked for source in known):
        hint = "Check the name: upper and lower case count"
        raise UserError("does not exist", where=place, hint=hint)


def _is_below(source: str, place: str) -> bool:
    """Return whether a remote source is below a place, or is one of a root's own files (``remote:*``)."""
    if place.endswith((":*", "/*")):
        above = parent(source)
        return place[:-1] == (above if above.endswith((":", "/")) else f"{above}/")
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
    """Return whether a recording is on this machine: what was added by name may have any ending."""
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
    words: dict[str, Callable[[status.SessionStatus], str]] = {
        "pending": lambda row: f"{row.hours:.2f} h",
        "failed": lambda row: row.failures[0],
    }
    for row in status.collect(plan):
        parts = tuple(status.missing_parts(plan.sessions[row.session]))
        lacks = f"{counted(len(parts), 'part')} missing in the recording: {_ranges(parts)}" if parts else ""
        if row.status in words:
            kind = "unprocessed" if row.status == "pending" else "failed"
            more = words[row.status](row)
        elif row.status != "complete" or parts:
            kind = "incomplete"
            more = "" if row.status == "complete" else f"{row.status}, {row.chunks_done}/{row.chunks} chunks"
        else:
            continue
        yield Finding(kind, row.session, "; ".join(filter(None, (more, lacks))), parts)


def _ranges(numbers: Iterable[int]) -> str:
    """Return numbers in order as people write them: ``3, 5-7``."""
    runs = (list(run) for _, run in groupby(enumerate(numbers), key=lambda found: found[1] - found[0]))
    return ", ".join(str(run[0][1]) if len(run) == 1 else f"{run[0][1]}-{run[-1][1]}" for run in runs)


def _orphans(plan: Plan) -> Iterator[Finding]:
    """Yield sessions that have results, but no row in the manifest."""
    folders: dict[str, list[str]] = {}
    for stage in STAGE_FOLDERS:
        top = plan.root / "results" / stage
        for name in sorted({entry.name.partition(".")[0] for entry in top.iterdir()} if top.is_dir() else ()):
            if name and name not in plan.sessions:
                folders.setdefault(name, []).append(f"results/{stage}")
    for name, places in folders.items():
        yield Finding("orphaned", name, ", ".join(places))
