"""Sorts the sources of `sessionscribe add` (files, folders, patterns, remotes) into sessions."""

from __future__ import annotations

import glob
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sessionscribe.core.errors import UserError
from sessionscribe.core.text import short_name
from sessionscribe.manifest.names import slug
from sessionscribe.storage import drive_desktop
from sessionscribe.storage.locations import DRIVE_DESKTOP, is_remote, join, split

if TYPE_CHECKING:
    from sessionscribe.storage.listing import Item

# Endings that folders are searched for; a single file may have any ending.
ENDINGS = (
    "3gp aac ac3 aif aiff amr avi flac flv m4a m4b m4v mka mkv mov mp2 mp3 mp4 mpeg mpg mts oga ogg ogv opus "
    "ts wav webm wma wmv"
)
EXTENSIONS = frozenset(ENDINGS.split())
TRANSCRIPT = "transcription-{}.json"
"""The name of the transcript beside a live part."""
LISTENING = ".listening.m4a"
"""The ending of listening copies, which are not recordings."""
PART = re.compile(r"^(?:chunk|part|segment)[-_. ]?(\d+)$", re.IGNORECASE)
NUMBER = re.compile(r"(\d+)(?!.*\d)")

CRAIG = re.compile(r"[1-9]\d*-(.+?)(?:[_#](?:\d{4}|0))?")
"""Tracks of Craig: a number and the Discord user, in older files with a discriminator."""
CRAIG_NOTES = "info.txt"
ZOOM = re.compile(r"audio(\D.*?)\d{1,2}\d{9,11}")
"""Tracks of Zoom: a participant, a number, and the number of the meeting."""
MEETING_DIGITS = 9
"""Final digits that all tracks of a meeting have in common, unlike recordings named after the time."""
ZOOM_FOLDER = "Audio Record"
ZOOM_MIX = re.compile(r"(?:audio|video)\d|audio_only|zoom_|double_click")
"""Beginnings of the files with all participants, which Zoom writes beside that folder."""


@dataclass(frozen=True)
class File:
    """A file on this machine (``path``) or on a remote (``item``).

    ``source`` is the path or address as it was given or found, ``speaker`` the name that the recording
    program put into the file name.
    """

    source: str
    path: Path | None = None
    item: Item | None = None
    speaker: str = ""

    @property
    def name(self) -> str:
        """Its name without the folder."""
        # Strings are faster than paths: buckets may contain very many files.
        if self.path is not None:
            return self.path.name
        folder, _, name = self.source.rpartition("/")
        return name if folder else name.partition(":")[2]

    @property
    def stem(self) -> str:
        """Its name without the ending."""
        return _split_ending(self.name)[0]

    @property
    def folder(self) -> PurePosixPath:
        """Its folder on this machine or the remote."""
        return PurePosixPath(self.path or split(self.source)[1]).parent

    @property
    def part(self) -> int | None:
        """The number in its name, as a part of a live session; None without one."""
        found = PART.match(self.stem) or NUMBER.search(self.stem)
        return int(found[1]) if found else None

    @property
    def modified(self) -> float:
        """The time of its last change, in seconds since the epoch; 0 if unknown."""
        if self.item is not None:
            return self.item.modified
        try:
            return (self.path or Path(self.source)).stat().st_mtime
        except OSError:
            return 0.0

    @property
    def is_recording(self) -> bool:
        """Whether it may be a recording by its name; hidden files (macOS's `._talk.wav`) are not."""
        name = self.name
        hidden = name.startswith(".")
        return not hidden and _split_ending(name)[1].lower() in EXTENSIONS and not name.endswith(LISTENING)


def _split_ending(name: str) -> tuple[str, str]:
    """Split a file name into stem and ending without the dot."""
    stem, _, ending = name.rpartition(".")
    return (stem, ending) if stem and ending else (name, "")


@dataclass(frozen=True)
class Group:
    """The files of one session.

    Attributes:
        transcribed: the parts of a live session that have a transcript beside them.
        named: whether the user chose the name.
        asked: whether the user named the file itself, not its folder.
        columns: values for the columns of new rows.
    """

    name: str
    layout: str
    files: tuple[File, ...]
    transcribed: tuple[File, ...] = ()
    named: bool = False
    asked: bool = False
    columns: Mapping[str, Any] = field(default_factory=dict)


def discover(sources: Iterable[str], *, layout: str | None = None, session: str | None = None) -> list[Group]:
    """Sort sources (files, folders, patterns, places on remotes) into sessions.

    Each file in a folder is a session, unless all are numbered parts (``chunk-000.webm`` …) of one live
    session or tracks of a known program, or ``layout`` says so. Remote folders are searched recursively.

    Raises:
        UserError: there is nothing, a remote cannot be read, or ``session`` names several sessions at once.
    """
    groups: list[Group] = []
    for source in sources:
        groups += _group(source, layout)
    if layout == "multitrack" and len(groups) > 1 and all(len(group.files) == 1 for group in groups):
        files = tuple(group.files[0] for group in groups)
        groups = [
            Group(files[0].folder.name, "multitrack", files, asked=any(group.asked for group in groups))
        ]
    if session is not None:
        if len(groups) > 1:
            what = f"stand for {len(groups)} sessions, which cannot share one name"
            raise UserError(
                what, where="the given sources", hint="Add them one by one, or leave out --session"
            )
        groups = [replace(group, name=session, named=True) for group in groups]
    return [replace(group, name=slug(group.name)) for group in groups]


def _group(source: str, layout: str | None) -> list[Group]:
    path = Path(source)
    if path.exists():
        return _group_local(path, source, layout)
    if is_remote(source):
        return _group_remote(source, layout)
    if drive_desktop.is_drive_desktop(source):
        return _group_local(drive_desktop.find(source), source, layout)
    if glob.has_magic(source) and "://" not in source:
        found = sorted(Path(match) for match in glob.glob(source, recursive=True) if Path(match).is_file())
        if not found:
            raise UserError("matches no file", where=source, hint="Check the pattern, and quote it")
        return [Group(file.stem, layout or "recording", (File(str(file), file),)) for file in found]
    if drive_desktop.may_be_in_drive(source):
        source = f"{DRIVE_DESKTOP}:{source}"
        return _group_local(drive_desktop.find(source), source, layout)
    elsewhere = "; elsewhere is `REMOTE:PATH`, with a remote of rclone, or `s3://BUCKET/PATH`" * (
        ":" in source
    )
    raise UserError("does not exist", where=source, hint=f"Check the name{elsewhere}; nothing was added")


def _group_local(path: Path, source: str, layout: str | None) -> list[Group]:
    """Sort the files at a path into sessions; ``source`` is the path as given."""
    if not path.is_dir():
        return [Group(path.stem, layout or "recording", (File(source, path),), asked=True)]
    # Broken links (shortcuts of Google Drive) are included, so that they are reported.
    names = sorted(file.name for file in path.iterdir() if file.is_file() or not file.exists())
    base = join(source, "") if drive_desktop.is_drive_desktop(source) else None
    files = [File(f"{base}{name}" if base else str(path / name), path / name) for name in names]
    files = [file for file in files if file.is_recording]
    if (path / ZOOM_FOLDER).is_dir() and all(ZOOM_MIX.match(file.name) for file in files):
        return _group_local(path / ZOOM_FOLDER, f"{source.rstrip('/')}/{ZOOM_FOLDER}", layout)
    if not files:
        hint = f"Name the files, or use one of the endings {ENDINGS}"
        raise UserError("holds no recording", where=source, hint=hint)
    folder = path.resolve()
    name = (folder.parent if folder.name == ZOOM_FOLDER else folder).name
    return _sessions(name, files, layout, set(names))


def _group_remote(source: str, layout: str | None) -> list[Group]:
    from sessionscribe.storage import listing  # noqa: PLC0415 -- only where something is remote

    items = listing.list_files(source)
    if len(items) == 1 and items[0].source == source:
        return [Group(items[0].path.stem, layout or "recording", (File(source, item=items[0]),), asked=True)]
    top = PurePosixPath(split(source)[1])
    found = {
        folder: [File(item.source, item=item) for item in sorted(inside)]
        for folder, inside in sorted(listing.by_folder(items).items())
        if not _is_hidden(PurePosixPath(folder), top)
    }
    groups = sort_below(source, found, lambda _: layout)
    if not groups:
        hint = f"Name the files, or use one of the endings {ENDINGS}"
        raise UserError("holds no recording", where=source, hint=hint)
    return groups


def sort_below(
    source: str, found: Mapping[str, Sequence[File]], layout_of: Callable[[File], str | None]
) -> list[Group]:
    """Sort the files of a folder and of all folders below it into sessions.

    Args:
        source: the folder, on this machine or a remote.
        found: the files by the path of their folder.
        layout_of: returns the layout of a recording; None: by its name.
    """
    top = PurePosixPath(split(source)[1] if is_remote(source) else source)
    groups: list[Group] = []
    for folder, files in found.items():
        by_layout: dict[str | None, list[File]] = defaultdict(list)
        for file in files:
            if file.is_recording:
                by_layout[layout_of(file)].append(file)
        name = _name_below(top, PurePosixPath(folder), source)
        names = {file.name for file in files}
        for layout, recordings in by_layout.items():
            groups += _sessions(name, recordings, layout, names)
    taken = Counter(slug(group.name) for group in groups)
    # Files of equal names, such as `recording.m4a` in a folder per day, get the name of the folder as well.
    return [
        replace(group, name=f"{_name_below(top, group.files[0].folder, source)}-{group.name}")
        if group.layout == "recording" and taken[slug(group.name)] > 1
        else group
        for group in groups
    ]


def _is_hidden(folder: PurePosixPath, top: PurePosixPath) -> bool:
    """Return whether a folder, or one between it and ``top``, is hidden."""
    parts = folder.relative_to(top).parts if folder.is_relative_to(top) else ()
    return any(part.startswith(".") for part in parts)


def _name_below(top: PurePosixPath, folder: PurePosixPath, source: str) -> str:
    """Return a name for a folder: its path below ``top``, or its own name."""
    if folder != top and folder.is_relative_to(top):
        return "-".join(folder.relative_to(top).parts)
    return folder.name or split(source)[0].rstrip(":/")


def _sessions(folder: str, files: list[File], layout: str | None, names: set[str]) -> list[Group]:
    """Sort the recordings of a folder into sessions; ``names`` are the names of all files in it."""
    if layout == "live" or (layout is None and all(PART.match(file.stem) for file in files)):
        transcripts = {name for name in names if name.endswith(".json")}
        done = tuple(file for file in files if transcripts and TRANSCRIPT.format(file.stem) in transcripts)
        return [Group(folder, "live", tuple(files), done)]
    asked = layout == "multitrack"
    speakers = {} if layout == "recording" else _names_in(files, names, asked=asked)
    tracks = tuple(replace(f, speaker=speakers.get(f, "")) for f in files if asked or f in speakers)
    others = [file for file in files if not asked and file not in speakers]
    multitrack = [Group(folder, "multitrack", tracks)] if tracks else []
    return [*multitrack, *(Group(file.stem, "recording", (file,)) for file in others)]


def _names_in(files: Sequence[File], beside: Collection[str], *, asked: bool) -> dict[File, str]:
    """Return the speaker of each file of a folder, if a known program wrote one file for each speaker.

    Args:
        files: the recordings in the folder.
        beside: the names of all files in it.
        asked: whether the user says that these are tracks.
    """
    meetings = {file.stem[-MEETING_DIGITS:] for file in files}
    for pattern, known in ((CRAIG, CRAIG_NOTES in beside), (ZOOM, len(meetings) == 1)):
        found = {file: match[1] for file in files if (match := pattern.fullmatch(file.stem))}
        enough = len(found) == len(files) or (known and len(found) > 1)
        if (known or asked) and enough:
            twice = {name for name, count in Counter(found.values()).items() if count > 1}
            return {file: file.stem if name in twice else name for file, name in found.items()}
    return {}


def speaker_of(file: File) -> str:
    """Return the speaker's name by the file, without control characters; "" if it is the track's name."""
    name = short_name(unicodedata.normalize("NFC", file.speaker or file.stem))
    return "" if name == slug(name) else name
