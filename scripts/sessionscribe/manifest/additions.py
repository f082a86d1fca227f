"""Rows of the manifest for recordings that were found: looked at once, and known again after that."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sessionscribe.audio.reader import Limits
from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.files import BLOCK
from sessionscribe.core.text import counted, one_line
from sessionscribe.manifest import tracks
from sessionscribe.manifest.manifest import Row, Session
from sessionscribe.manifest.names import folded, numbered, slug
from sessionscribe.manifest.presence import Presence
from sessionscribe.manifest.probe import Prober, ProbeResult
from sessionscribe.manifest.reconcile import CHANGED, Reconciled, join, place, refuse_another
from sessionscribe.manifest.sources import File, Group, speaker_of
from sessionscribe.storage.drive_desktop import is_drive_desktop
from sessionscribe.storage.locations import is_remote, name_of, parent

LEFT_OUT = "(its row was removed; to add it again, name the file itself)"


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
    report: Callable[[str, str, str], None],
    durations: Callable[[Sequence[str]], Mapping[str, float]] = lambda _: {},
    say: Callable[[str], None] = lambda _: None,
    before: Mapping[str, str] = MappingProxyType({}),
    limits: Limits | None = None,
    streams: Sequence[int] = (),
    names: Sequence[str] = (),
) -> Added:
    """Return the manifest's rows with ``groups`` added.

    A file that cannot be probed gets a row all the same, so that its session shows as failed and is not
    forgotten, but if its name is not that of a recording either. A session whose name is taken by another
    recording gets none; one whose name only looks the same (another case, another form of Unicode, other
    characters that cannot stay) gets a name of its own. A recording whose content the manifest knows is not
    probed again; one that was moved keeps its session. Rows that could not be understood stay as they are,
    and so does a session that has such rows.

    Args:
        groups: what ``sources.discover`` found.
        known: the manifest as it is.
        root: the project's folder; sources inside it are noted relative to it.
        settings: columns to set (language, num_speakers …).
        exact: count samples instead of trusting the container's duration.
        report: gets the name of each session that is there now, what was done (``added``, ``replaced``: the
            content is another one, ``updated`` or ``known``), and a line about it. A session of which no file
            can be used is in ``problems`` only.
        durations: tells how long recordings are (s) that others have looked at, by the checksum of their
            content; gets the sources of those that the manifest does not know.
        say: takes a line about the progress, every ten seconds.
        before: what was added earlier, the checksum by source; what the manifest lacks of it was removed.
        limits: how much sound recordings may hold.
        streams: of a file with a speaker in each audio stream, the streams to take; none: all.
        names: who is to be heard in a file with a speaker in each stream or channel.
    """
    added = Added()
    sessions = {name: list(session.rows) for name, session in known.items()}
    asked = settings.get("audio_stream"), settings.get("channel")
    look = Prober(known, *asked, exact, durations, say, limits or Limits())
    looked = look.at(groups, root)
    noted = notes((file for group in groups for file in group.files), root)
    there = Presence(set(noted.values()))
    homes, twins = _Homes(sessions, there), {folded(name): name for name in reversed(sessions)}
    removed = _Removed(known, before)
    for given in groups:
        left_out = [] if given.asked else [f for f in given.files if removed.has(noted[f], looked[f])]
        added.news += [f"left out: {visible(noted[file])} {LEFT_OUT}" for file in left_out]
        # A live part that cannot even be read is as good as none.
        unread = [file for file in given.files if given.layout == "live" and not looked[file].checksum]
        added.problems += [problem for file in unread if (problem := looked[file].problem)]
        group = replace(given, files=tuple(f for f in given.files if f not in left_out and f not in unread))
        if not group.files:
            continue
        try:
            own = {**group.columns, **settings}
            parts = _Parts(look, streams, names).of(group, looked, noted, own, sessions)
            rows = parts or [
                _row(group, file, looked[file], source=noted[file], settings=own) for file in group.files
            ]
            new = rows if parts else list({row.source: row for row in rows}.values())
            name = (None if group.named else homes.of(new)) or _own_name(group, new, sessions, twins)
            new = [replace(row, session=name) for row in new]
            _refuse_wrong(name, known)
            earlier = sessions.get(name, [])
            _refuse_cumulative(group) if earlier else _refuse_no_recording(group, looked)
            if parts:
                if earlier:
                    refuse_another(earlier, new)
                joined = Reconciled(tracks.join(earlier, new, settings, named=bool(names)), [])
            else:
                joined = join(earlier, new, settings, exact=exact, there=there)
            sessions[name] = joined.rows
            twins.setdefault(folded(name), name)
            added.news += joined.news
        except UserError as error:
            added.problems.append(error)
            continue
        problems = [problem for file in group.files if (problem := looked[file].problem)]
        added.problems += [_of_all(problems, name)] if len(problems) == len(new) > 1 else problems
        if len(problems) < len(new):
            length = timedelta(seconds=round(sum(row.duration_s for row in new)))
            number = counted(len(new), "track" if parts else "file")
            line = f"{group.layout}, {number}, {length} of audio"
            replaced = any(item.startswith(CHANGED) for item in joined.news)
            done = "replaced" if replaced else "known" if sessions[name] == earlier else "updated"
            report(name, done if earlier else "added", line)
    added.rows = [row for rows in sessions.values() for row in rows]
    return added


def _own_name(
    group: Group, new: Sequence[Row], sessions: Mapping[str, Sequence[Row]], twins: Mapping[str, str]
) -> str:
    """Return a group's name, with a hash where it is another session's on some file system or after `slug`.

    ``twins`` are the names of all sessions by what file systems may take for the same (`folded`).

    Raises:
        UserError: the user gave the name.
    """
    name, content = group.name, {row.checksum for row in new}
    if taken := sessions.get(name):
        same = _written(taken[0]) == _written(new[0]) or not content.isdisjoint(r.checksum for r in taken)
        if group.named or same:
            return name  # `join` says whether it fits
    elif not (twin := twins.get(folded(name))):
        return name
    elif group.named:
        hint = "Give this one a name that differs by more than upper and lower case"
        raise UserError(f"there is a session `{twin}`", where=name, hint=hint)
    return numbered(name, place(new[0]))


def _written(row: Row) -> str:
    """Return what a session was named after: its file, or the folder of its files."""
    return File(row.source).stem if row.layout == "recording" else name_of(parent(row.source))


def _refuse_no_recording(group: Group, looked: Mapping[File, ProbeResult]) -> None:
    """Refuse a file that is a recording neither by name nor by content: a text, a picture.

    Raises:
        UserError: it is such a file; or see `_refuse_cumulative`.
    """
    _refuse_cumulative(group)
    (first, *others) = group.files
    if not others and not first.is_recording and (problem := looked[first].problem):
        raise UserError(problem.what, where=problem.where, hint="It was not added")


def _of_all(problems: Sequence[UserError], session: str) -> UserError:
    """Return in one line that no file of a session is any good."""
    what = f"none of its {len(problems)} files can be used; the first {problems[0].what}"
    return UserError(what, where=session, hint=problems[0].hint)


def _refuse_cumulative(group: Group) -> None:
    """Keep out live parts that each begin with all of the one before: their words would be repeated.

    Raises:
        UserError: the first two, which are on this machine, are such.
    """
    one, two, *_ = [*sorted(group.files, key=lambda file: file.part or 0), None, None]
    if group.layout != "live" or one is None or two is None or one.path is None or two.path is None:
        return
    size = one.path.stat().st_size
    with one.path.open("rb") as first, two.path.open("rb") as second:
        end = first.seek(max(0, size - BLOCK))
        same = second.seek(end) == end and first.read(BLOCK) == second.read(size - end) != b""
    if same and size < two.path.stat().st_size:
        hint = "Add the last part alone, as a recording"
        raise UserError("each part begins with all that the one before it holds", where=group.name, hint=hint)


def _refuse_wrong(name: str, known: Mapping[str, Session]) -> None:
    """Refuse to change a session with invalid rows, since only their author knows what they mean.

    Raises:
        UserError: they are.
    """
    if name in known and (problem := known[name].problem):
        raise UserError(f"nothing was added ({problem})", where=name, hint="Correct the table first")


def _row(group: Group, file: File, looked: ProbeResult, *, source: str, settings: dict[str, Any]) -> Row:
    if not looked.checksum and looked.problem:
        raise looked.problem
    if group.layout == "live" and file.part is None:
        hint = "Parts of a live session are numbered"
        raise UserError("has no number in its name", where=file.source, hint=hint)
    return Row(
        session=group.name,
        layout=group.layout,
        track="mix" if group.layout == "recording" else slug(file.speaker or file.stem),
        source=source,
        checksum=looked.checksum,
        duration_s=looked.duration_s,
        part=file.part if group.layout == "live" else None,
        header=looked.header,
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


@dataclass(frozen=True)
class _Parts:
    """Tracks that are parts of one file; arguments as of `add`."""

    look: Prober
    streams: Sequence[int]
    names: Sequence[str]

    def of(
        self,
        group: Group,
        looked: Mapping[File, ProbeResult],
        noted: Mapping[File, str],
        settings: Mapping[str, Any],
        sessions: Mapping[str, Sequence[Row]],
    ) -> list[Row]:
        """Return a row for each track of a session that is one file; none where a file is a track.

        Raises:
            UserError: the file has not the streams or channels that are asked for.
        """
        asked = bool(self.streams or self.names)
        alone = group.layout == "multitrack" and len(group.files) == 1 and group.asked
        if asked and not alone:
            hint = "Give one file, with --layout multitrack; nothing was added"
            raise UserError("is not one file with several tracks", where=group.name, hint=hint)
        if not alone or looked[group.files[0]].problem or settings.get("channel") is not None:
            return []
        file = group.files[0]
        result, source = looked[file], noted[file]
        known = [row for rows in sessions.values() for row in rows if row.source == source]
        if not asked and known and all(row.checksum == result.checksum for row in known):
            split = known[0].audio_stream is not None or known[0].channel is not None
            return [replace(row, **settings) for row in known] if split and len(known) > 1 else []
        found = self.look.parts(file, self.streams, self.names)
        if len(found) < 2:
            return []
        return [
            Row(
                session=group.name,
                layout=group.layout,
                track=slug(part.name),
                source=source,
                checksum=result.checksum,
                duration_s=part.duration_s,
                speaker="" if part.name == slug(part.name) else one_line(part.name),
                **{**settings, "audio_stream": part.audio_stream, "channel": part.channel},
            )
            for part in found
        ]


class _Removed:
    """Recordings that the user removed from the manifest, while others of their folder stayed.

    Args:
        known: the manifest.
        before: what was added to it earlier, the checksum by source.
    """

    def __init__(self, known: Mapping[str, Session], before: Mapping[str, str]) -> None:
        rows = [row for session in known.values() for row in session.rows]
        self._before = before
        self._sources, self._contents = {row.source for row in rows}, {row.checksum for row in rows}
        self._folders = {parent(row.source) for row in rows}

    def has(self, source: str, looked: ProbeResult) -> bool:
        """Return whether a recording was removed, and is what it was."""
        return (
            self._before.get(source) == looked.checksum != ""
            and source not in self._sources
            and looked.checksum not in self._contents
            and parent(source) in self._folders
        )


class _Homes:
    """Finds the session of recordings that were moved or renamed.

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
