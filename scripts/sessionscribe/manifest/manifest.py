"""The table of sessions: one row per source file (a recording, a speaker's track, a live part)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from sessionscribe.artifacts.base import LAYOUTS
from sessionscribe.config.settings import LANGUAGE, MOST_SPEAKERS, OFF
from sessionscribe.core import locks, tables
from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.files import write_text
from sessionscribe.core.text import TOO_LONG, is_long_name
from sessionscribe.manifest import names


@dataclass(frozen=True, slots=True)
class Row:
    """A source file and its place in a session.

    Attributes:
        header: for a live part that is a slice of a recorder's stream, the part with the stream's header.
        line: the line in the manifest, from 1.
        cells: the cells of an invalid row, which are written back unchanged.
        converted_s: the length of the conversion (s), if it differs from ``duration_s``.
    """

    session: str
    layout: str
    track: str
    source: str
    checksum: str = ""
    duration_s: float = 0.0
    part: int | None = None
    speaker: str = ""
    language: str = ""
    num_speakers: int | None = None
    min_speakers: int | None = None
    max_speakers: int | None = None
    diarize: str = ""
    hotwords: str = ""
    audio_stream: int | None = None
    channel: int | None = None
    recorded_at: str = ""
    header: int | None = None
    priority: int | None = None
    added_at: str = ""
    line: int = field(default=0, compare=False)
    cells: tuple[str, ...] | None = field(default=None, compare=False)
    converted_s: float | None = field(default=None, compare=False)

    @property
    def length_s(self) -> float:
        """The best known length, in seconds."""
        return self.duration_s if self.converted_s is None else self.converted_s


COLUMNS = tuple(f.name for f in fields(Row) if f.name not in ("line", "cells", "converted_s"))
REQUIRED = ("session", "layout", "track", "source")
OLDER = {"shape": "layout", "tracks": "multitrack"}
"""Former names of a column and of a layout."""
INTEGERS = (
    *("part", "num_speakers", "min_speakers", "max_speakers"),
    *("audio_stream", "channel", "header", "priority"),
)
MAX_MISSING = 10_000
"""The longest possible gap in the numbers of live parts; dates, for example, jump farther."""
LONGEST_S = 1e7
"""The longest possible recording, in seconds (116 days): the names of all chunks are computed beforehand."""
LEAST = {"num_speakers": 1, "min_speakers": 1, "max_speakers": 1, "audio_stream": 0, "channel": 0}
"""The smallest allowed values."""


@dataclass(frozen=True)
class Session:
    """The rows of one session; ``problem`` says in one line why it cannot be processed."""

    name: str
    rows: tuple[Row, ...]
    problem: str | None = None

    @property
    def layout(self) -> str:
        """``recording``, ``multitrack`` or ``live``."""
        return self.rows[0].layout

    def setting(self, column: str) -> object:
        """Return the first value in a column that is not empty, or else the empty value."""
        values = [getattr(row, column) for row in self.rows]
        return next((value for value in values if value not in ("", None)), values[0])

    def audio_stream(self, row: Row) -> object:
        """Return the audio stream to use of a row's recording; None: by the settings.

        The parts of a live session share it.
        """
        return row.audio_stream if self.layout == "multitrack" else self._one["audio_stream"]

    def channel(self, row: Row) -> object:
        """Return the channel to use of a row's recording; None: by the settings."""
        return row.channel if self.layout == "multitrack" else self._one["channel"]

    def header(self, row: Row) -> Row | None:
        """Return the part with the header that a live part lacks."""
        return None if row.header is None else self._by_part.get(row.header)

    def with_lengths(self, seconds: Mapping[str, float]) -> Session:
        """Return the session with the lengths of conversions (s), by track."""
        rows = (replace(row, converted_s=seconds.get(row.track, row.converted_s)) for row in self.rows)
        return replace(self, rows=tuple(rows))

    @cached_property  # used for every part
    def _one(self) -> dict[str, object]:
        return {name: self.setting(name) for name in ("audio_stream", "channel")}

    @cached_property
    def _by_part(self) -> dict[int | None, Row]:
        return {row.part: row for row in self.rows}


def locked(path: Path) -> AbstractContextManager[int | None]:
    """Hold the lock of a manifest for reading, changing and writing it."""
    return locks.locked(path.with_name(f".{path.name}.lock"))


def read(path: Path) -> dict[str, Session]:
    """Read the manifest; a missing file is an empty manifest.

    An invalid row affects only its session (``Session.problem``).

    Raises:
        UserError: the whole table is invalid (encoding, columns, an unclosed quotation mark).
    """
    text = tables.read_text(path)
    return {} if text is None else parse(text, path)


def parse(text: str, path: Path) -> dict[str, Session]:
    """Return the sessions in the text of a manifest, as ``read`` does; ``path`` is for messages."""
    found = (
        (line, values) for line, values in tables.rows(text, path) if any(value.strip() for value in values)
    )
    _, header = next(found, (1, []))
    header = [OLDER.get(name, name) for name in header]
    while header and not header[-1]:  # spreadsheets write a column in which there was something once
        header.pop()
    tables.check_header(header, COLUMNS, REQUIRED, path)
    rows: dict[str, list[Row]] = {}
    problems: dict[str, str] = {}
    for line, values in found:
        while len(values) > len(header) and not values[-1]:
            values.pop()
        row, problem = _parse(header, values, line)
        if problem:
            row = replace(row, cells=_as_found(header, values))
            problems.setdefault(row.session, f"{path}, line {line}: {problem}")
        rows.setdefault(row.session, []).append(row)
    for group in rows.values():
        group.sort(key=lambda row: row.part or 0)  # spreadsheets sort by any column
    first = {names.folded(name): name for name in reversed(rows)}
    return {
        name: Session(
            name,
            tuple(group),
            problems.get(name) or _conflict(name, first[names.folded(name)], group, path),
        )
        for name, group in rows.items()
    }


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write the manifest atomically."""
    write_text(path, table(rows))


def table(rows: Iterable[Row]) -> str:
    """Return the text of a manifest, with invalid rows unchanged."""
    cells = (row.cells or [_format(getattr(row, column)) for column in COLUMNS] for row in rows)
    return tables.text_of([COLUMNS, *cells])


def _format(value: object) -> str:
    return (
        ""
        if value is None
        else f"{value:.6f}".rstrip("0").rstrip(".")
        if isinstance(value, float)
        else tables.guarded(value)
        if isinstance(value, str)
        else str(value)
    )


def _as_found(header: list[str], values: list[str]) -> tuple[str, ...]:
    """Return the cells of an invalid row in the order of ``COLUMNS``.

    A row with too few or too many cells stays so.
    """
    given = dict(zip(header, values, strict=False))
    cells = [given.get(name, "") for name in COLUMNS]
    if len(values) < len(header):
        cells = cells[: 1 + max(COLUMNS.index(name) for name in given)]
        return (*cells, *[""] * (len(cells) == len(COLUMNS)))
    return (*cells, *values[len(header) :])


def _parse(header: list[str], values: list[str], line: int) -> tuple[Row, str | None]:
    """Return the row as far as it is valid, and its first problem, if any."""
    cells = dict(zip(header, values, strict=False))
    problem = (
        None if len(values) == len(header) else f"{len(values)} fields where the header has {len(header)}"
    )
    typed: dict[str, object] = {name: tables.unguarded(cells.get(name, "")) for name in REQUIRED}
    for name, cell in cells.items():
        if name in REQUIRED or not cell:
            continue
        text = tables.unguarded(cell)
        try:
            typed[name] = (
                int(text.removesuffix(".0"))
                if name in INTEGERS
                else float(text)
                if name == "duration_s"
                else text
            )
        except ValueError:
            problem = problem or f"`{name}` must be a number and is `{visible(text)}`"
    typed["layout"] = OLDER.get(cells.get("layout", ""), typed["layout"])
    row = Row(**typed, line=line)  # type: ignore[arg-type]
    if not 0 <= row.duration_s <= LONGEST_S:
        problem = problem or f"`duration_s` must be seconds and is `{row.duration_s}`"
        row = replace(row, duration_s=0.0)
    if why := names.fault(row.session):
        problem = problem or f"`{visible(row.session)}` cannot be a session name ({why})"
        row = replace(row, session=names.numbered(names.slug(row.session), f"{line} {row.session}"))
    if row.layout not in LAYOUTS:
        problem = problem or f"`layout` must be recording, multitrack or live and is `{visible(row.layout)}`"
    if why := names.fault(row.track):
        problem = problem or f"`{visible(row.track)}` cannot be a track name ({why})"
    problem = problem or _wrong_setting(row.language, {name: getattr(row, name) for name in LEAST})
    if is_long_name(row.speaker):
        problem = problem or f"`speaker` {TOO_LONG}"
    if row.diarize not in ("", OFF):
        problem = problem or f"`diarize` must be empty or `{OFF}` and is `{visible(row.diarize)}`"
    if not row.source or "\0" in row.source:
        problem = problem or "`source` is no path"
    return row, problem


def check_settings(settings: Mapping[str, Any]) -> None:
    """Check columns that `sessionscribe add` sets, before they are written to the manifest.

    Raises:
        UserError: a value is not allowed.
    """
    numbers = {name: settings.get(name) for name in LEAST}
    if problem := _wrong_setting(settings.get("language", ""), numbers):
        raise UserError(problem, where="the given options", hint="Nothing was added")


def _wrong_setting(language: str, numbers: Mapping[str, int | None]) -> str | None:
    """Return the first problem in the settings of a row, if any."""
    if language and not re.fullmatch(LANGUAGE, language):
        return f"`language` must be a code such as `en` and is `{visible(language)}`"
    for name, number in numbers.items():
        if number is not None and number < LEAST[name]:
            return f"`{name}` must be at least {LEAST[name]} and is `{number}`"
        if number is not None and number > MOST_SPEAKERS:
            return f"`{name}` must be at most {MOST_SPEAKERS} and is `{number}`"
    fewest, most = numbers["min_speakers"], numbers["max_speakers"]
    if fewest and most and fewest > most:
        return "`min_speakers` must not be above `max_speakers`"
    return None


def _conflict(name: str, twin: str, rows: list[Row], path: Path) -> str | None:
    """Return why ``rows`` cannot be one session, if so.

    ``twin`` is the first name in the table that some disks consider the same.
    """
    place = f"{path}, lines {', '.join(str(row.line) for row in rows)}"
    if name != twin:
        return f"{place}: some disks cannot tell `{name}` from `{twin}`. Give one of them another name"
    if len({row.layout for row in rows}) > 1:
        return f"{place}: session `{name}` has rows with different layouts. Give one of them another name"
    if rows[0].layout == "recording" and len(rows) > 1:
        hint = "Remove one of them, or give it another name"
        return f"{place}: two recordings have the session name `{name}`. {hint}"
    if len({row.track for row in rows}) < len(rows):
        return f"{place}: session `{name}` has two tracks with the same name. Give one of them another name"
    if rows[0].layout == "live" and (why := _parts_fault([row.part for row in rows])):
        return f"{place}: live session `{name}` {why}"
    return None


def _parts_fault(parts: Sequence[int | None]) -> str | None:
    """Return why these cannot be the numbers of a live session's parts, if so."""
    numbers = sorted(part for part in parts if part is not None)
    if len(numbers) < len(parts):
        return "has a row without `part`. Number its parts"
    for before, part in pairwise(numbers):
        if part == before:
            return f"has two parts with the number {part}. Remove the row of one of them"
        if part - before > MAX_MISSING:
            return f"has parts whose numbers jump from {before} to {part}. Number them one after the other"
    return None


def without_clash(sessions: Mapping[str, Session], path: Path, usual: Path) -> dict[str, Session]:
    """Return the sessions of ``path``; those whose namesake in ``usual`` is another session get a problem.

    Results are stored by name, so each of the two would overwrite the other's.
    """
    others, found = {}, dict(sessions)
    with contextlib.suppress(UserError):  # reported when that table is used
        others = read(usual)
    for name in sessions.keys() & others.keys():
        session = sessions[name]
        one, other = ({row.checksum or row.source for row in s.rows} for s in (session, others[name]))
        if session.problem is None and one.isdisjoint(other):
            what = f"{path}: another session of {usual} is called `{name}`, too, and its results would be"
            found[name] = replace(session, problem=f"{what} overwritten. Give one of them another name")
    return found
