"""What `sessionscribe add` is given: files, folders, patterns and remotes, sorted into sessions."""

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

# What a folder is searched for; a file that is named may have any ending.
ENDINGS = (
    "3gp aac ac3 aif aiff amr avi flac flv m4a m4b m4v mka mkv mov mp2 mp3 mp4 mpeg mpg mts oga ogg ogv opus "
    "ts wav webm wma wmv"
)
EXTENSIONS = frozenset(ENDINGS.split())
TRANSCRIPT = "transcription-{}.json"
"""What a part's transcript is called that lies beside it."""
LISTENING = ".listening.m4a"
"""How listening copies end that lie beside recordings, and are none themselves."""
PART = re.compile(r"^(?:chunk|part|segment)[-_. ]?(\d+)$", re.IGNORECASE)
NUMBER = re.compile(r"(\d+)(?!.*\d)")

CRAIG = re.compile(r"\d+-(.+?)(?:[_#](?:\d{4}|0))?")
"""Tracks of Craig: a number, the Discord user, and once his discriminator."""
CRAIG_NOTES = "info.txt"
ZOOM = re.compile(r"audio(\D.*?)\d{6,}")
"""Tracks of Zoom, one for each participant, with the number of the meeting behind the name."""
ZOOM_FOLDER = "Audio Record"
ZOOM_MIX = re.compile(r"(?:audio|video)\d|audio_only|zoom_|double_click")
"""How recordings of all participants begin, which Zoom writes beside that folder."""


@dataclass(frozen=True)
class File:
    """A recording that was found: on this machine (``path``) or on a remote (``item``).

    ``speaker`` is whose track it is, where the program that wrote it says so in its name.
    ``source`` is how it was come by; the manifest notes it so, or relative to the project.
    """

    source: str
    path: Path | None = None
    item: Item | None = None
    speaker: str = ""

    @property
    def name(self) -> str:
        """Its name without the folder."""
        # Strings, not paths: of a bucket with all that a recorder ever wrote there are very many.
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
        """The folder that it is in, on its remote or this machine."""
        return PurePosixPath(self.path or split(self.source)[1]).parent

    @property
    def part(self) -> int | None:
        """Its number as a part of a live session; None if its name has none."""
        found = PART.match(self.stem) or NUMBER.search(self.stem)
        return int(found[1]) if found else None

    @property
    def modified(self) -> float:
        """When it was last written, in seconds since the epoch; 0 where that is not known."""
        if self.item is not None:
            return self.item.modified
        try:
            return (self.path or Path(self.source)).stat().st_mtime
        except OSError:
            return 0.0

    @property
    def is_recording(self) -> bool:
        """Whether it may be a recording, by its name; hidden files (macOS's `._talk.wav`) are none."""
        name = self.name
        hidden = name.startswith(".")
        return not hidden and _split_ending(name)[1].lower() in EXTENSIONS and not name.endswith(LISTENING)


def _split_ending(name: str) -> tuple[str, str]:
    """Return what comes before the ending of a file's name, and the ending without its dot."""
    stem, _, ending = name.rpartition(".")
    return (stem, ending) if stem and ending else (name, "")


@dataclass(frozen=True)
class Group:
    """The files of one session.

    ``transcribed`` are the parts of a live session that have a transcript beside them; ``named`` if the user
    gave the name, ``asked`` if the file itself and not its folder; ``columns`` are what new rows of it get,
    by column.
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

    A file is a recording. A folder holds recordings, one session each, unless all its files are numbered
    parts (``chunk-000.webm`` …), which make one live session. ``layout`` says so where names do not. A folder
    on a remote is searched with all folders in it.

    Raises:
        UserError: nothing is there, a remote cannot be read, or ``session`` names several sessions at once.
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
    if glob.has_magic(source):
        found = sorted(Path(match) for match in glob.glob(source, recursive=True) if Path(match).is_file())
        if not found:
            raise UserError("matches no file", where=source, hint="Check the pattern, and quote it")
        return [Group(file.stem, layout or "recording", (File(str(file), file),)) for file in found]
    if drive_desktop.may_be_in_drive(source):
        source = f"{DRIVE_DESKTOP}:{source}"
        return _group_local(drive_desktop.find(source), source, layout)
    raise UserError("does not exist", where=source, hint="Check the name; nothing was added")


def _group_local(path: Path, source: str, layout: str | None) -> list[Group]:
    """Sort what lies at a path; ``source`` is how it is to be noted."""
    if not path.is_dir():
        return [Group(path.stem, layout or "recording", (File(source, path),), asked=True)]
    # A link that leads nowhere, as shortcuts of Google Drive may be, is named, not passed over.
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
    """Sort what lies in a place, and in all folders below it, into sessions.

    Args:
        source: the place: a folder of this machine or a remote.
        found: its files, by the path of the folder that they are in.
        layout_of: returns how a recording belongs to others, or None where its name says so.
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
    # `recording.m4a` in a folder for every day: the folder is what they differ by.
    return [
        replace(group, name=f"{_name_below(top, group.files[0].folder, source)}-{group.name}")
        if group.layout == "recording" and taken[slug(group.name)] > 1
        else group
        for group in groups
    ]


def _is_hidden(folder: PurePosixPath, top: PurePosixPath) -> bool:
    """Return whether a folder, or one between it and ``top``, is hidden: a waste bin, a program's own."""
    parts = folder.relative_to(top).parts if folder.is_relative_to(top) else ()
    return any(part.startswith(".") for part in parts)


def _name_below(top: PurePosixPath, folder: PurePosixPath, source: str) -> str:
    """Return a name for a folder: its own, or the way to it from the one that was given."""
    if folder != top and folder.is_relative_to(top):
        return "-".join(folder.relative_to(top).parts)
    return folder.name or split(source)[0].rstrip(":/")


def _sessions(folder: str, files: list[File], layout: str | None, names: set[str]) -> list[Group]:
    """Sort the recordings of one folder into sessions; ``names`` are those of all its files."""
    if layout == "live" or (layout is None and all(PART.match(file.stem) for file in files)):
        transcripts = {name for name in names if name.endswith(".json")}
        done = tuple(file for file in files if transcripts and TRANSCRIPT.format(file.stem) in transcripts)
        return [Group(folder, "live", tuple(files), done)]
    speakers = _names_in(files, names, asked=layout == "multitrack")
    if layout == "multitrack" or (layout is None and speakers):
        named = tuple(replace(file, speaker=speakers.get(file, "")) for file in files)
        return [Group(folder, "multitrack", named)]
    return [Group(file.stem, "recording", (file,)) for file in files]


def _names_in(files: Sequence[File], beside: Collection[str], *, asked: bool) -> dict[File, str]:
    """Return whose track each file of a folder is, where a program wrote one for each speaker; else nothing.

    Args:
        files: the recordings of a folder.
        beside: the names of all that lies in it.
        asked: whether the user says that they are tracks, so that their names need no further evidence.
    """
    for pattern, known in ((CRAIG, CRAIG_NOTES in beside), (ZOOM, True)):
        found = {file: match[1] for file in files if (match := pattern.fullmatch(file.stem))}
        if (known or asked) and len(found) == len(files):
            twice = {name for name, count in Counter(found.values()).items() if count > 1}
            return {file: file.stem if name in twice else name for file, name in found.items()}
    return {}


def speaker_of(file: File) -> str:
    """Return the name that a track's file says its speaker by, where the track's own name cannot be that one.

    Empty where they are the same. What a name in a transcript should not have (control characters) is left
    out.
    """
    name = short_name(unicodedata.normalize("NFC", file.speaker or file.stem))
    return "" if name == slug(name) else name
