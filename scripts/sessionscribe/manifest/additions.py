"""Adds found recordings to the rows of the manifest."""

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
    """The rows of the manifest with the new ones, errors, and lines about recordings that were changed."""

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
    """Return the rows of the manifest with ``groups`` added.

    Recordings are recognised by content: known ones are not probed again, and moved ones keep their session.
    A file that cannot be probed gets a row, so that its session is shown as failed, unless its name is not
    that of a recording either. A session with the name of another recording is refused; if the names only
    look the same (by case, Unicode form, or characters that were replaced), it gets another name. Invalid
    rows stay as they are, as do their sessions.

    Args:
        groups: what ``sources.discover`` found.
        known: the manifest.
        root: the project's folder; sources in it are stored relative to it.
        settings: columns to set (language, num_speakers …).
        exact: count samples instead of trusting the container's duration.
        report: called for each session that has usable files, with its name, what was done (``added``,
            ``replaced`` with other content, ``updated`` or ``known``), and a line about it.
        durations: returns known durations (s) by checksum, for the sources that the manifest does not know.
        say: called with a line about the progress every ten seconds.
        before: the checksums of all sources that were ever added; those no longer in ``known`` were removed.
        limits: how much audio a recording may contain.
        streams: the audio streams to use of a file with a speaker in each stream; empty: all.
        names: the speakers of a file with a speaker in each stream or channel.
    """
    added = Added()
    sessions = {name: list(session.rows) for name, session in known.items()}
    asked = settings.get("audio_stream"), settings.get("channel")
    look = Prober(known, *asked, exact, durations, say, limits or Limits())
    looked = look.at(groups, root)
    noted = notes((file for group in groups for file in group.files), root)
    there = Presence(set(noted.values()))
    home_of, is_removed = _homes(sessions, there), _removed(known, before)
    twins = {folded(name): name for name in reversed(sessions)}
    for given in groups:
        left_out = [] if given.asked else [f for f in given.files if is_removed(noted[f], looked[f])]
        added.news += [f"left out: {visible(noted[file])} {LEFT_OUT}" for file in left_out]
        # An unreadable live part counts as missing.
        unread = [file for file in given.files if given.layout == "live" and not looked[file].checksum]
        added.problems += [problem for file in unread if (problem := looked[file].problem)]
        group = replace(given, files=tuple(f for f in given.files if f not in left_out and f not in unread))
        if not group.files:
            continue
        try:
            own = {**group.columns, **settings}
            parts = _rows_of_parts(
                look, group, looked, noted, settings=own, sessions=sessions, streams=streams, names=names
            )
            rows = parts or [
                _row(group, file, looked[file], source=noted[file], settings=own) for file in group.files
            ]
            new = rows if parts else list({row.source: row for row in rows}.values())
            name = (None if group.named else home_of(new)) or _own_name(group, new, sessions, twins)
            new = [replace(row, session=name) for row in new]
            _refuse_wrong(name, known)
            earlier = sessions.get(name, [])
            _refuse_cumulative(group, looked) if earlier else _refuse_no_recording(group, looked)
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
        none = len(problems) == len(new) > 1
        added.problems += [_of_all(problems, name, group.layout)] if none else problems
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
    """Return a name for a group, with a hash if the plain one equals another session's on some file system.

    ``twins`` are the names of all sessions by their `folded` form.

    Raises:
        UserError: the user chose such a name.
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
    """Return the name of the file or folder that a session was named after."""
    return File(row.source).stem if row.layout == "recording" else name_of(parent(row.source))


def _refuse_no_recording(group: Group, looked: Mapping[File, ProbeResult]) -> None:
    """Refuse a file that is a recording neither by name nor by content, and cumulative parts.

    Raises:
        UserError: it is such a file.
    """
    _refuse_cumulative(group, looked)
    (first, *others) = group.files
    if not others and not first.is_recording and (problem := looked[first].problem):
        raise UserError(problem.what, where=problem.where, hint="It was not added")


def _of_all(problems: Sequence[UserError], session: str, layout: str) -> UserError:
    """Return one error for a session without a usable file."""
    what = f"none of its {len(problems)} files can be used; the first {problems[0].what}"
    hint = "If these are slices of a stream, put its first part into the folder and add the folder again"
    return UserError(what, where=session, hint=hint if layout == "live" else problems[0].hint)


def _refuse_cumulative(group: Group, looked: Mapping[File, ProbeResult]) -> None:
    """Refuse live parts that each begin with the whole content of the previous one.

    Raises:
        UserError: the first two usable parts, if they are on this machine, are such.
    """
    usable = [file for file in group.files if not looked[file].problem]
    one, two, *_ = [*sorted(usable, key=lambda file: file.part or 0), None, None]
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
    """Refuse to change a session with invalid rows.

    Raises:
        UserError: it has such rows.
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
    """Return the sources of files as in the manifest: relative to the project's folder if they are in it."""
    top = root.resolve()
    # There may be hundreds of thousands of files, so each folder is resolved once.
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


def _rows_of_parts(
    look: Prober,
    group: Group,
    looked: Mapping[File, ProbeResult],
    noted: Mapping[File, str],
    *,
    settings: Mapping[str, Any],
    sessions: Mapping[str, Sequence[Row]],
    streams: Sequence[int],
    names: Sequence[str],
) -> list[Row]:
    """Return a row for each track of a session that is one file; none if each file is a track.

    Raises:
        UserError: the file lacks the streams or channels that the user names.
    """
    asked = bool(streams or names)
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
    found = look.parts(file, streams, names)
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
        for part in (found if len(found) > 1 else ())
    ]


def _removed(known: Mapping[str, Session], before: Mapping[str, str]) -> Callable[[str, ProbeResult], bool]:
    """Return a function that tells whether the user removed a source, while others of its folder stayed."""
    rows = [row for session in known.values() for row in session.rows]
    sources, contents = {row.source for row in rows}, {row.checksum for row in rows}
    folders = {parent(row.source) for row in rows}

    def is_removed(source: str, looked: ProbeResult) -> bool:
        return (
            before.get(source) == looked.checksum != ""
            and source not in sources
            and looked.checksum not in contents
            and parent(source) in folders
        )

    return is_removed


def _homes(sessions: Mapping[str, list[Row]], there: Presence) -> Callable[[Sequence[Row]], str | None]:
    """Return a function that finds the session of new rows.

    It is the one that has their place, or their content if its own files are gone.
    """
    old = dict(sessions)
    by_place = {place(row): name for name, rows in old.items() for row in rows}
    by_content = {frozenset(row.checksum for row in rows): name for name, rows in old.items()}

    def home_of(new: Sequence[Row]) -> str | None:
        name = by_place.get(place(new[0]))
        if name is not None and old[name][0].layout == new[0].layout != "multitrack":
            return name
        name = by_content.get(frozenset(row.checksum for row in new))
        if name is None or old[name][0].layout != new[0].layout:
            return None
        return None if any(row.source in there for row in old[name]) else name

    return home_of
