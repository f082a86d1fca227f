"""Rows of the manifest for recordings that were found: looked at once, and known again after that."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sessionscribe.core.errors import UserError
from sessionscribe.manifest.manifest import Row, Session
from sessionscribe.manifest.presence import Presence
from sessionscribe.manifest.probe import Prober, ProbeResult
from sessionscribe.manifest.reconcile import join, place
from sessionscribe.manifest.sources import NUMBER, PART, File, Group, slug, speaker_of
from sessionscribe.storage.drive_desktop import is_drive_desktop
from sessionscribe.storage.locations import is_remote


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
    look = Prober(known, settings.get("audio_stream"), exact, s3_remote, durations, say)
    looked = look.at(groups, root)
    noted = notes((file for group in groups for file in group.files), root)
    there = Presence(set(noted.values()), s3_remote)
    homes = _Homes(sessions, there)
    for group in groups:
        try:
            given = {**group.columns, **settings}
            rows = (
                _row(group, file, looked[file], source=noted[file], settings=given) for file in group.files
            )
            new = list({row.source: row for row in rows}.values())
            name = (None if group.named else homes.of(new)) or group.name
            new = [replace(row, session=name) for row in new]
            _refuse_wrong(name, known)
            before = sessions.get(name, [])
            joined = join(before, new, settings, exact=exact, there=there)
            sessions[name] = joined.rows
            added.news += joined.news
        except UserError as error:
            added.problems.append(error)
            continue
        problems = [problem for file in group.files if (problem := looked[file].problem)]
        added.problems += problems
        if len(problems) < len(new):
            hours = sum(row.duration_s for row in new) / 3600
            line = f"{group.layout}, {len(new)} file{'s' * (len(new) > 1)}, {hours:.2f} h of audio"
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


def _row(group: Group, file: File, looked: ProbeResult, *, source: str, settings: dict[str, Any]) -> Row:
    if not looked.checksum and looked.problem:
        raise looked.problem
    part = None
    if group.layout == "live":
        number = PART.match(file.stem) or NUMBER.search(file.stem)
        if number is None:
            hint = "Parts of a live session are numbered"
            raise UserError("has no number in its name", where=file.source, hint=hint)
        part = int(number[1])
    return Row(
        session=group.name,
        layout=group.layout,
        track="mix" if group.layout == "recording" else slug(file.stem),
        source=source,
        checksum=looked.checksum,
        duration_s=looked.duration_s,
        part=part,
        speaker=speaker_of(file) if group.layout == "multitrack" else "",
        added_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **settings,
    )


def notes(files: Iterable[File], root: Path) -> dict[File, str]:
    """Return files' sources as the manifest has them: relative to the project where they lie in it."""
    top = root.resolve()
    # Each folder is resolved once: there may be hundreds of thousands of files.
    resolve = functools.cache(Path.resolve)
    return {file: _note(file, top, resolve) for file in files}


def _note(file: File, top: Path, resolve: Callable[[Path], Path]) -> str:
    path = file.path
    if path is None or (str(path) != file.source and is_drive_desktop(file.source)):
        return file.source
    absolute = path.absolute() if path.is_symlink() else resolve(path.parent) / path.name
    try:
        inside = str(absolute.relative_to(top))
    except ValueError:
        return str(absolute)
    return f"./{inside}" if is_remote(inside) else inside


class _Homes:
    """Which session recordings belong to that are found in another place, or by another name.

    Args:
        sessions: the manifest's rows.
        there: the sources of which there is a file.
    """

    def __init__(self, sessions: dict[str, list[Row]], there: Presence) -> None:
        self._sessions, self._there = dict(sessions), there
        self._by_place = {place(row): name for name, rows in sessions.items() for row in rows}
        self._by_content = {frozenset(row.checksum for row in rows): name for name, rows in sessions.items()}

    def of(self, new: list[Row]) -> str | None:
        """Return the session that has the place of these rows, or their content and lost its own files."""
        name = self._by_place.get(place(new[0]))
        if name is not None and self._sessions[name][0].layout == new[0].layout != "multitrack":
            return name
        name = self._by_content.get(frozenset(row.checksum for row in new))
        if name is None or self._sessions[name][0].layout != new[0].layout:
            return None
        return None if any(row.source in self._there for row in self._sessions[name]) else name
