"""New rows of a session among those that it has: recordings are known again by their place and content."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
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
"""Columns that people fill in; what is in them outlives another name of the file."""
CHANGED = "changed: "
"""How a line begins that tells of other content."""


def place(row: Row) -> str:
    """Return what tells a session from another of its name: its file, or the folder of its files."""
    return row.source if row.layout == "recording" else parent(row.source)


@dataclass(frozen=True)
class Reconciled:
    """The rows of a session with the new ones in their places, and a line for each that was not as it was."""

    rows: list[Row]
    news: list[str]


def join(
    old: Sequence[Row], new: Sequence[Row], settings: Mapping[str, Any], *, exact: bool, there: Presence
) -> Reconciled:
    """Merge new rows into a session: each replaces the old row of its recording, or is added.

    What the manifest had besides (speaker, language, a counted duration …) stays, where it is not given anew.
    A file that was renamed keeps its row, with the name (of a live part: the number) that it has now: nobody
    is heard twice. One that is there under both names is two.

    Args:
        old: the session's rows; none: it is new.
        new: what was found, of one session and layout, every source once.
        settings: columns to set.
        exact: durations were counted.
        there: the sources of which there is a file, the new ones among them.

    Raises:
        UserError: the session's name belongs to something else, or two files would be one track or part.
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
        else:  # a live part that comes by the name that another one had gets a track of its own
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
    """Refuse rows that have nothing in common with the session.

    Raises:
        UserError: it has not.
    """
    same_place = {place(row) for row in old} & {place(row) for row in new}
    same_content = {row.checksum for row in old if row.checksum} & {row.checksum for row in new}
    if old[0].layout != new[0].layout or not (same_place or same_content):
        hint = "Give this one another name with --session"
        what = f"the session name is taken by {visible(old[0].source)}"
        raise UserError(what, where=new[0].session, hint=hint)


def _known(old: Sequence[Row], new: Sequence[Row], there: Presence) -> dict[str, Row]:
    """Return, by the source of a new row, the old row that it takes the place of; no row has two heirs."""
    contents = {row.source: row.checksum for row in new}
    left = {row.track: row for row in old}
    known: dict[str, Row] = {}

    def settle(row: Row, before: Row) -> None:
        known[row.source] = left.pop(before.track)

    def remaining() -> list[Row]:
        return [row for row in new if row.source not in known]

    by_source = {row.source: row for row in old}
    for row in new:
        before = by_source.get(row.source)
        if before is not None and before.checksum == row.checksum:
            settle(row, before)
    wanted = {row.checksum for row in remaining() if row.checksum}
    renamed: dict[str, list[Row]] = defaultdict(list)
    for row in left.values():
        # Its file has another name now: the one that it had is free, or another file's.
        if row.checksum in wanted and (row.source in contents or row.source not in there):
            renamed[row.checksum].append(row)
    for row in remaining():
        if renamed[row.checksum]:
            settle(row, renamed[row.checksum].pop(0))
    for same in (lambda row: row.source, _key):
        at = {same(row): row for row in left.values()}
        for row in remaining():
            if (before := at.get(same(row))) is not None:
                settle(row, before)
    return known


def _key(row: Row) -> str | int | None:
    """Return what no two files of a session have in common: a part's number, or a track's name."""
    return row.part if row.layout == "live" else row.track


def _renewed(
    before: Row, row: Row, settings: Mapping[str, Any], taken: Container[str], *, exact: bool
) -> Row:
    """Return an old row as it is now."""
    found = replace(before, source=row.source, checksum=row.checksum, **settings)
    if (
        before.checksum != row.checksum
        or exact
        or before.audio_stream != found.audio_stream
        or not before.duration_s
    ):
        found = replace(found, duration_s=row.duration_s, header=row.header)
    if row.layout == "live":
        if before.source != row.source:
            found = replace(found, part=row.part)
        # What is made of a part is told by the track's name: it stays with its content, and with no other.
        return found if before.checksum == row.checksum else replace(found, track=_with_content(row, taken))
    if before.source == row.source:
        return found
    # A speaker whom the file's old name gave goes with it; one whom a person wrote there stays.
    given = before.speaker not in ("", speaker_of(File(before.source)))
    return replace(found, track=row.track, speaker=before.speaker if given else row.speaker)


def _with_content(row: Row, taken: Container[str]) -> str:
    """Return a free name for a track that is of this content; of several parts of it each has its own."""
    digest = row.checksum.rpartition(":")[2]
    short = digest[:6] if re.fullmatch("[0-9a-f]+", digest) else fingerprint(row.checksum)[:6]
    names = (f"{row.track}-{short}{f'-{number}' * (number > 1)}" for number in itertools.count(1))
    return next(name for name in names if name not in taken)


def _heir(row: Row, joined: Iterable[Row]) -> Row | None:
    """Return what has taken the name of a row whose file is gone, or of a track its content as well."""
    for heir in joined:
        if _key(heir) == _key(row):
            return heir
        if row.layout == "multitrack" and row.checksum and row.checksum == heir.checksum:
            empty = [name for name in SETTINGS if getattr(heir, name) in ("", None)]
            return replace(heir, **{name: getattr(row, name) for name in empty})
    return None


def _change(before: Row, row: Row) -> Iterator[str]:
    """Yield what has become of a recording that the manifest knew."""
    if before.checksum and before.checksum != row.checksum:
        yield f"{CHANGED}{visible(row.source)}"
    elif before.source != row.source:
        yield f"moved: {visible(before.source)} is now {visible(row.source)}"


def _refuse_twice(rows: Iterable[Row]) -> None:
    """Refuse a session of which two files would be one track, or one part.

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
