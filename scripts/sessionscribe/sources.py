"""What `sessionscribe add` is given, as rows of the manifest."""

from __future__ import annotations

import glob
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sessionscribe import manifest
from sessionscribe.errors import UserError, visible
from sessionscribe.files import sha256
from sessionscribe.ingest import probe
from sessionscribe.manifest import Row

# What a folder is searched for; a file that is named may have any ending.
EXTENSIONS = frozenset(
    (
        "3gp",
        "aac",
        "ac3",
        "aif",
        "aiff",
        "amr",
        "avi",
        "flac",
        "flv",
        "m4a",
        "m4b",
        "m4v",
        "mka",
        "mkv",
        "mov",
        "mp2",
        "mp3",
        "mp4",
        "mpeg",
        "mpg",
        "mts",
        "oga",
        "ogg",
        "ogv",
        "opus",
        "ts",
        "wav",
        "webm",
        "wma",
        "wmv",
    )
)
PART = re.compile(r"^(?:chunk|part|segment)[-_. ]?(\d+)$", re.IGNORECASE)
NUMBER = re.compile(r"(\d+)(?!.*\d)")


@dataclass(frozen=True)
class Group:
    """The files of one session."""

    name: str
    shape: str
    files: tuple[Path, ...]


def discover(sources: Iterable[str], *, shape: str | None = None, session: str | None = None) -> list[Group]:
    """Sort sources (files, folders, glob patterns) into sessions.

    A file is a recording. A folder holds recordings, one session each, unless all its files are numbered
    parts (``chunk-000.webm`` …), which make one live session. ``shape`` says so where names do not.

    Raises:
        UserError: nothing is there, or ``session`` names several sessions at once.
    """
    groups: list[Group] = []
    for source in sources:
        groups += _group(source, shape)
    if shape == "tracks" and len(groups) > 1 and all(len(group.files) == 1 for group in groups):
        groups = [Group(groups[0].files[0].parent.name, "tracks", tuple(g.files[0] for g in groups))]
    if session is not None:
        if len(groups) > 1:
            what = f"stand for {len(groups)} sessions, which cannot share one name"
            raise UserError(
                what, where="the given sources", hint="Add them one by one, or leave out --session"
            )
        groups = [replace(group, name=session) for group in groups]
    return [replace(group, name=slug(group.name)) for group in groups]


def _group(source: str, shape: str | None) -> list[Group]:
    path = Path(source)
    if not path.exists() and glob.has_magic(source):
        found = sorted(Path(match) for match in glob.glob(source, recursive=True) if Path(match).is_file())
        if not found:
            raise UserError("matches no file", where=source, hint="Check the pattern, and quote it")
        return [Group(file.stem, shape or "recording", (file,)) for file in found]
    if not path.exists():
        raise UserError("does not exist", where=source, hint="Check the name; nothing was added")
    if not path.is_dir():
        return [Group(path.stem, shape or "recording", (path,))]
    files = tuple(sorted(f for f in path.iterdir() if f.is_file() and f.suffix[1:].lower() in EXTENSIONS))
    if not files:
        hint = f"Name the files, or use one of the endings {' '.join(sorted(EXTENSIONS))}"
        raise UserError("holds no recording", where=path, hint=hint)
    name = path.resolve().name
    if shape is None and all(PART.match(file.stem) for file in files):
        shape = "live"
    if shape in ("tracks", "live"):
        return [Group(name, shape, files)]
    return [Group(file.stem, "recording", (file,)) for file in files]


def slug(name: str) -> str:
    """Return a name that is safe in paths, commands and Snakemake: word characters and ``-``."""
    return re.sub(r"[^\w-]+", "-", unicodedata.normalize("NFC", name)).strip("-") or "session"


def add(
    groups: Iterable[Group],
    known: dict[str, manifest.Session],
    *,
    root: Path,
    settings: dict[str, Any],
    exact: bool,
    report: Callable[[str, str], None],
) -> tuple[list[Row], list[UserError]]:
    """Return the manifest's rows with ``groups`` added, and what was wrong.

    A file that cannot be probed gets a row all the same, so that its session shows as failed and is not
    forgotten; a session whose name is taken by another recording gets none.

    Args:
        groups: what ``discover`` found.
        known: the manifest as it is.
        root: the project's folder; sources inside it are noted relative to it.
        settings: columns to set (language, num_speakers …).
        exact: count samples instead of trusting the container's duration.
        report: gets the name of each session that was added, and a line about it.
    """
    sessions = {name: list(session.rows) for name, session in known.items()}
    problems: list[UserError] = []
    for group in groups:
        try:
            new = [
                _row(group, file, root=root, settings=settings, exact=exact, problems=problems)
                for file in group.files
            ]
            old = sessions.get(group.name, [])
            sessions[group.name] = _update(old, new, settings, exact)
        except UserError as error:
            problems.append(error)
            continue
        hours = sum(row.duration_s for row in new) / 3600
        report(group.name, f"{group.shape}, {len(new)} file{'s' * (len(new) > 1)}, {hours:.2f} h of audio")
    return [row for rows in sessions.values() for row in rows], problems


def _row(
    group: Group, file: Path, *, root: Path, settings: dict[str, Any], exact: bool, problems: list[UserError]
) -> Row:
    duration, checksum = 0.0, ""
    try:
        str(file).encode()
    except UnicodeEncodeError:
        raise UserError("has a name that is not valid UTF-8", where=file, hint="Rename the file") from None
    try:
        duration = probe(file, exact=exact).duration_s
    except UserError as error:
        problems.append(error)
    try:
        checksum = sha256(file)
    except OSError as error:
        if duration:
            raise UserError(
                f"cannot be read ({error.strerror})", where=file, hint="Check the file"
            ) from error
    track = "mix" if group.shape == "recording" else slug(file.stem)
    part = None
    if group.shape == "live":
        number = PART.match(file.stem) or NUMBER.search(file.stem)
        if number is None:
            raise UserError(
                "has no number in its name", where=file, hint="Parts of a live session are numbered"
            )
        part = int(number[1])
    return Row(
        session=group.name,
        shape=group.shape,
        track=track,
        source=_relative(file, root),
        checksum=checksum,
        duration_s=duration,
        part=part,
        **settings,
    )


def _place(row: Row) -> Path:
    """Return what tells a session from another of its name: its file, or the folder of its files."""
    return Path(row.source) if row.shape == "recording" else Path(row.source).parent


def _relative(file: Path, root: Path) -> str:
    absolute = file.resolve() if not file.is_symlink() else file.absolute()
    try:
        return str(absolute.relative_to(root.resolve()))
    except ValueError:
        return str(absolute)


def _update(old: list[Row], new: list[Row], settings: dict[str, Any], exact: bool) -> list[Row]:
    """Put new rows in the place of old ones of the same track; parts of a live session add up.

    What the manifest had besides (speaker, language, a counted duration …) stays, where it is not given anew.

    Raises:
        UserError: the session's name belongs to something else.
    """
    if not old:
        return new
    name, shape = new[0].session, new[0].shape
    same_place = {_place(row) for row in old} & {_place(row) for row in new}
    same_content = {row.checksum for row in old if row.checksum} & {row.checksum for row in new}
    if old[0].shape != shape or not (same_place or same_content):
        hint = "Give this one another name with --session"
        raise UserError(f"the session name is taken by {visible(old[0].source)}", where=name, hint=hint)
    rows = {row.part if shape == "live" else row.track: row for row in old}
    for row in new:
        key = row.part if shape == "live" else row.track
        before = rows.get(key)
        if before is None:
            rows[key] = row
            continue
        rows[key] = replace(before, source=row.source, checksum=row.checksum, **settings)
        if before.checksum != row.checksum or exact or not before.duration_s:
            rows[key] = replace(rows[key], duration_s=row.duration_s)
        if before.checksum != row.checksum and shape == "live":
            # Another content gets another name: what was made of the old one is not taken for it.
            rows[key] = replace(rows[key], track=f"{row.track}-{row.checksum[:6]}")
    if shape == "live":
        return sorted(rows.values(), key=lambda row: row.part or 0)
    return list(rows.values())
