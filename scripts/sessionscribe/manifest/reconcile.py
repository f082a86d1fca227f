"""Merges new rows into a session; recordings are recognised by place and content."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.fingerprint import fingerprint
from sessionscribe.manifest.manifest import Row
from sessionscribe.manifest.presence import Presence
from sessionscribe.manifest.sources import File, speaker_of
from sessionscribe.storage.locations import parent

SETTINGS = (
    "speaker",
    "language",
    "num_speakers",
    "min_speakers",
    "max_speakers",
    "diarize",
    "hotwords",
    "audio_stream",
    "channel",
    "recorded_at",
    "priority",
)
"""Columns that people fill in, which are kept when a file is renamed."""
CHANGED = "changed: "
"""How lines about changed content begin."""


def place(row: Row) -> str:
    """Return what identifies a session beside its name: its file, or the folder of its files."""
    return row.source if row.layout == "recording" else parent(row.source)


@dataclass(frozen=True)
class Reconciled:
    """The merged rows of a session, and a line for each change."""

    rows: list[Row]
    news: list[str]


def join(
    old: Sequence[Row], new: Sequence[Row], settings: Mapping[str, Any], *, exact: bool, there: Presence
) -> Reconciled:
    """Merge new rows into a session: each replaces the old row of its recording, or is added.

    Other columns (speaker, language, a counted duration …) keep their values unless ``settings`` replaces
    them. A renamed file keeps its row, with its new name or part number. If the file exists under both names,
    these are two recordings.

    Args:
        old: the session's rows; none if it is new.
        new: the rows of the files that were found, one for each source.
        settings: columns to set.
        exact: durations were counted.
        there: the sources that exist, including the new ones.

    Raises:
        UserError: the session is another one, or two files would be the same track or part.
    """
    if old:
        refuse_another(old, new)
    known = _known(old, new, there)
    taken = {row.track for row in old}
    joined: dict[str, Row] = {}
    for row in new:
        before = known.get(row.source)
        if before:
            found = _renewed(before, row, settings, taken, exact=exact)
        else:  # a live part that has another one's former name gets a track of its own
            apart = row.layout == "live" and row.track in taken
            found = replace(row, track=_with_content(row, taken)) if apart else row
        taken.add(found.track)
        joined[row.source] = found
    news = [line for row in new if row.source in known for line in _change(known[row.source], row)]
    source_of = {before.track: source for source, before in known.items()}
    here, outlived = {parent(row.source) for row in new}, set()
    for row in old:
        if row.track in source_of or (row.source in there and row.source not in joined):
            continue
        if (heir := _heir(row, joined.values())) is not None:
            outlived.add(row.track)
            joined[heir.source] = heir
        if heir is not None and heir.checksum == row.checksum:
            news.append(f"moved: {visible(row.source)} is now {visible(heir.source)}")
        elif row.source in joined:
            news.append(f"{CHANGED}{visible(row.source)}")
        elif parent(row.source) in here:
            news.append(f"gone: {visible(row.source)}")
    kept = [row for row in old if row.track not in outlived]
    rows = [joined[source_of[row.track]] if row.track in source_of else row for row in kept]
    fresh = [row for source, row in joined.items() if source not in known]
    rows += fresh
    if new[0].layout == "live":
        rows.sort(key=lambda row: row.part or 0)
        first = {row.checksum: row for row in reversed(rows) if row.checksum}
        again = [
            (row, other) for row in fresh if (other := first.get(row.checksum, row)).source != row.source
        ]
        news += [f"twice: {visible(r.source)} holds the same as {visible(o.source)}" for r, o in again]
    _refuse_twice(rows)
    return Reconciled(rows, news)


def refuse_another(old: Sequence[Row], new: Sequence[Row]) -> None:
    """Refuse rows that share neither place nor content with the session.

    Raises:
        UserError: they do not.
    """
    same_place = {place(row) for row in old} & {place(row) for row in new}
    same_content = {row.checksum for row in old if row.checksum} & {row.checksum for row in new}
    if old[0].layout != new[0].layout or not (same_place or same_content):
        hint = "Give this one another name with --session"
        what = f"the session name is taken by {visible(old[0].source)}"
        raise UserError(what, where=new[0].session, hint=hint)


def _known(old: Sequence[Row], new: Sequence[Row], there: Presence) -> dict[str, Row]:
    """Return the old row that each new row replaces, by source; no old row is replaced twice."""
    sources, contents = {row.source for row in new}, {row.checksum for row in new if row.checksum}

    def renamed(row: Row) -> bool:
        """Return whether the recording of an old row has a new name: its own is unused, or another file's."""
        return row.checksum in contents and (row.source in sources or row.source not in there)

    left = {row.track: row for row in old}
    known: dict[str, Row] = {}
    criteria: tuple[tuple[Callable[[Row], object], Callable[[Row], bool]], ...] = (
        (lambda row: (row.source, row.checksum), lambda _: True),
        (lambda row: row.checksum, renamed),
        (lambda row: row.source, lambda _: True),
        (_key, lambda _: True),
    )
    for same, fits in criteria:
        found: dict[object, list[Row]] = defaultdict(list)
        for row in left.values():
            if fits(row):
                found[same(row)].append(row)
        for row in new:
            if row.source not in known and found[same(row)]:
                known[row.source] = left.pop(found[same(row)].pop(0).track)
    return known


def _key(row: Row) -> str | int | None:
    """Return what is unique in a session: a part's number, or a track's name."""
    return row.part if row.layout == "live" else row.track


def _renewed(
    before: Row, row: Row, settings: Mapping[str, Any], taken: Container[str], *, exact: bool
) -> Row:
    """Return an old row updated from the new one."""
    found = replace(before, source=row.source, checksum=row.checksum, **settings)
    if (
        before.checksum != row.checksum
        or exact
        or before.audio_stream != found.audio_stream
        or not before.duration_s
    ):
        found = replace(found, duration_s=row.duration_s, header=row.header)
    elif row.header is not None:
        found = replace(found, header=row.header)
    if row.layout == "live":
        if before.source != row.source:
            found = replace(found, part=row.part)
        # Results are named after the track, so its name stays with the content.
        return found if before.checksum == row.checksum else replace(found, track=_with_content(row, taken))
    if before.source == row.source:
        return found
    # A speaker name that came from the old file name is replaced; one that a person entered is kept.
    given = before.speaker not in ("", speaker_of(File(before.source)))
    return replace(found, track=row.track, speaker=before.speaker if given else row.speaker)


def _with_content(row: Row, taken: Container[str]) -> str:
    """Return an unused track name with a hash of the content."""
    digest = row.checksum.rpartition(":")[2]
    short = digest[:6] if re.fullmatch("[0-9a-f]+", digest) else fingerprint(row.checksum)[:6]
    names = (f"{row.track}-{short}{f'-{number}' * (number > 1)}" for number in itertools.count(1))
    return next(name for name in names if name not in taken)


def _heir(row: Row, joined: Iterable[Row]) -> Row | None:
    """Return the row that replaces one whose file is gone: with its key or, for tracks, its content."""
    for heir in joined:
        if _key(heir) == _key(row):
            return heir
        if row.layout == "multitrack" and row.checksum and row.checksum == heir.checksum:
            empty = [name for name in SETTINGS if getattr(heir, name) in ("", None)]
            return replace(heir, **{name: getattr(row, name) for name in empty})
    return None


def _change(before: Row, row: Row) -> Iterator[str]:
    """Yield a line if a known recording was changed or moved."""
    if before.checksum and before.checksum != row.checksum:
        yield f"{CHANGED}{visible(row.source)}"
    elif before.source != row.source:
        yield f"moved: {visible(before.source)} is now {visible(row.source)}"


def _refuse_twice(rows: Iterable[Row]) -> None:
    """Refuse a session in which two files are the same track or part.

    Raises:
        UserError: there are such files.
    """
    seen: dict[str | int | None, Row] = {}
    for row in rows:
        other = seen.setdefault(_key(row), row)
        if other is row:
            continue
        which = f"part {row.part}" if row.layout == "live" else f"track {row.track}"
        what = f"{visible(other.source)} and {visible(row.source)} are both {which}; nothing was added"
        raise UserError(what, where=row.session, hint="Rename one of them, or put it elsewhere")
