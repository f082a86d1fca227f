"""Rows of the manifest for recordings that were found: looked at once, and known again after that."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sessionscribe.errors import UserError, visible
from sessionscribe.fingerprint import fingerprint
from sessionscribe.looking import Look, Looked
from sessionscribe.manifest import Row, Session
from sessionscribe.sources import NUMBER, PART, File, Group, slug
from sessionscribe.storage.locations import is_remote, parent


@dataclass
class Added:
    """The manifest's rows with the new ones among them, and what there is to tell.

    ``news`` are one line each: recordings that are no longer what or where they were.
    """

    rows: list[Row] = field(default_factory=list)
    problems: list[UserError] = field(default_factory=list)
    news: list[str] = field(default_factory=list)


def add(
    groups: Sequence[Group],
    known: dict[str, Session],
    *,
    root: Path,
    settings: dict[str, Any],
    exact: bool,
    report: Callable[[str, str, bool], None],
    s3_remote: str = "",
    durations: Callable[[Sequence[str]], Mapping[str, float]] = lambda _: {},
    say: Callable[[str], None] = lambda _: None,
) -> Added:
    """Return the manifest's rows with ``groups`` added.

    A file that cannot be probed gets a row all the same, so that its session shows as failed and is not
    forgotten; a session whose name is taken by another recording gets none. A recording whose content the
    manifest knows is not probed again; one that was moved keeps its session. Rows that could not be
    understood stay as they are, and so does a session that has such rows.

    Args:
        groups: what ``sources.discover`` found.
        known: the manifest as it is.
        root: the project's folder; sources inside it are noted relative to it.
        settings: columns to set (language, num_speakers …).
        exact: count samples instead of trusting the container's duration.
        report: gets the name of each session that is there now, a line about it, and whether it changed.
            A session of which no file can be used is in ``problems`` only.
        s3_remote: the remote that stands for `s3://`.
        durations: tells how long recordings are (s) that others have looked at, by the checksum of their
            content; gets the sources of those that the manifest does not know.
        say: takes a line about the progress, every ten seconds.
    """
    added = Added()
    sessions = {name: list(session.rows) for name, session in known.items()}
    look = Look(known, settings.get("audio_stream"), exact, s3_remote, durations, say)
    looked = look.at(groups, root)
    homes = _Homes(sessions, {note(file, root) for group in groups for file in group.files}, s3_remote)
    for group in groups:
        try:
            new = [_row(group, file, looked[file], root=root, settings=settings) for file in group.files]
            name = (None if group.named else homes.of(new)) or group.name
            new = [replace(row, session=name) for row in new]
            _refuse_wrong(name, known)
            before = sessions.get(name, [])
            added.news += _news(before, new)
            sessions[name] = _update(before, new, settings, exact)
        except UserError as error:
            added.problems.append(error)
            continue
        problems = [problem for file in group.files if (problem := looked[file].problem)]
        added.problems += problems
        if len(problems) < len(new):
            hours = sum(row.duration_s for row in new) / 3600
            line = f"{group.shape}, {len(new)} file{'s' * (len(new) > 1)}, {hours:.2f} h of audio"
            report(name, line, sessions[name] != before)
    added.rows = [row for rows in sessions.values() for row in rows]
    return added


def _refuse_wrong(name: str, known: Mapping[str, Session]) -> None:
    """Keep off a session whose rows are wrong: what they mean is for whoever wrote them to say.

    Raises:
        UserError: they are.
    """
    if name in known and (problem := known[name].problem):
        raise UserError(f"nothing was added ({problem})", where=name, hint="Correct the table first")


def _row(group: Group, file: File, looked: Looked, *, root: Path, settings: dict[str, Any]) -> Row:
    if not looked.checksum and looked.problem:
        raise looked.problem
    part = None
    if group.shape == "live":
        number = PART.match(file.stem) or NUMBER.search(file.stem)
        if number is None:
            hint = "Parts of a live session are numbered"
            raise UserError("has no number in its name", where=file.source, hint=hint)
        part = int(number[1])
    return Row(
        session=group.name,
        shape=group.shape,
        track="mix" if group.shape == "recording" else slug(file.stem),
        source=note(file, root),
        checksum=looked.checksum,
        duration_s=looked.duration_s,
        part=part,
        **settings,
    )


def note(file: File, root: Path) -> str:
    """Return a file's source as the manifest has it: relative to the project where it lies in it."""
    if file.path is None or str(file.path) != file.source:
        return file.source
    path = file.path
    absolute = path.resolve() if not path.is_symlink() else path.absolute()
    try:
        inside = str(absolute.relative_to(root.resolve()))
    except ValueError:
        return str(absolute)
    return f"./{inside}" if is_remote(inside) else inside


def _place(row: Row) -> str:
    """Return what tells a session from another of its name: its file, or the folder of its files."""
    return row.source if row.shape == "recording" else parent(row.source)


class _Homes:
    """Which session recordings belong to that are found in another place, or by another name.

    Args:
        sessions: the manifest's rows.
        found: the sources that were found.
        s3_remote: the remote that stands for `s3://`.
    """

    def __init__(self, sessions: dict[str, list[Row]], found: set[str], s3_remote: str) -> None:
        self._sessions, self._found, self._s3_remote = dict(sessions), found, s3_remote
        self._by_place = {_place(row): name for name, rows in sessions.items() for row in rows}
        self._by_content = {frozenset(row.checksum for row in rows): name for name, rows in sessions.items()}

    def of(self, new: list[Row]) -> str | None:
        """Return the session that has the place of these rows, or their content and lost its own files."""
        name = self._by_place.get(_place(new[0]))
        if name is not None and self._sessions[name][0].shape == new[0].shape != "tracks":
            return name
        name = self._by_content.get(frozenset(row.checksum for row in new))
        if name is None or self._sessions[name][0].shape != new[0].shape:
            return None
        return None if any(self._is_there(row.source) for row in self._sessions[name]) else name

    def _is_there(self, source: str) -> bool:
        return source in self._found or _exists(source, self._s3_remote)


def _exists(source: str, s3_remote: str) -> bool:
    from sessionscribe.storage import listing, recordings  # noqa: PLC0415 -- only where something was moved

    try:
        path = recordings.local_path(source)
        return path.exists() if path else listing.stat(source, s3_remote=s3_remote) is not None
    except UserError:
        return True  # who knows: it stays as it is


def _news(old: list[Row], new: list[Row]) -> Iterator[str]:
    """Yield what has become of recordings that the manifest knew."""
    sources = {row.source: row for row in old}
    contents = {row.checksum: row for row in old if row.checksum}
    for row in new:
        before = sources.get(row.source)
        if before is not None:
            if before.checksum and before.checksum != row.checksum:
                yield f"changed: {visible(row.source)}"
        elif row.checksum in contents:
            yield f"moved: {visible(contents[row.checksum].source)} is now {visible(row.source)}"
    if new[0].shape != "recording":
        here, kept = {parent(row.source) for row in new}, {row.checksum for row in new}
        for row in old:
            gone = row.source not in {other.source for other in new} and row.checksum not in kept
            if gone and parent(row.source) in here:
                yield f"gone: {visible(row.source)}"


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
        other_stream = before.audio_stream != rows[key].audio_stream
        if before.checksum != row.checksum or exact or other_stream or not before.duration_s:
            rows[key] = replace(rows[key], duration_s=row.duration_s)
        if before.checksum != row.checksum and shape == "live":
            # Another content gets another name: what was made of the old one is not taken for it.
            rows[key] = replace(rows[key], track=f"{row.track}-{_short(row.checksum)}")
    if shape == "live":
        return sorted(rows.values(), key=lambda row: row.part or 0)
    return list(rows.values())


def _short(checksum: str) -> str:
    """Return six characters that stand for a content in a name."""
    digest = checksum.rpartition(":")[2]
    return digest[:6] if re.fullmatch("[0-9a-f]+", digest) else fingerprint(checksum)[:6]
