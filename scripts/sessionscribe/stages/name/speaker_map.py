"""The table of names: who a speaker of a session is, as a person has written it down.

Tab-separated: the columns ``session``, ``speaker`` and ``name``. ``speaker`` is a label (``SPEAKER_01``),
or a moment at which that person talks (``12:34``), which holds whatever the labels are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sessionscribe.core import tables
from sessionscribe.core.errors import UserError, unknown_session, visible
from sessionscribe.core.text import TOO_LONG, is_long_name

COLUMNS = ("session", "speaker", "name")
MOMENT = re.compile(r"(?:(\d+):)?(\d{1,3}):([0-5]\d)(\.\d+)?")


@dataclass(frozen=True)
class Entry:
    """A row: a speaker of a session, by label or moment, and a name; "": keep the label."""

    session: str
    speaker: str
    name: str
    line: int


@dataclass(frozen=True)
class SpeakerMap:
    """The rows that can be used, by session, and a line for each that cannot."""

    entries: Mapping[str, Sequence[Entry]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def of(self, session: str) -> Sequence[Entry]:
        """Return the rows of a session."""
        return self.entries.get(session, ())


def read(path: Path, sessions: Iterable[str]) -> SpeakerMap:
    """Read the table; a missing file is an empty one. What is wrong with a row concerns this row only.

    Args:
        path: the table.
        sessions: the names of all sessions that there are.

    Raises:
        UserError: the table as a whole cannot be understood (encoding, columns, a quotation mark that is not
            closed).
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return SpeakerMap()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read ({error})", where=path, hint="Save it as UTF-8 text") from error
    found = tables.rows(text, path)
    header = [cell.strip() for cell in next(found, (1, []))[1]]
    if header and sorted(header) != sorted(COLUMNS):
        what = f"has the columns `{visible(' '.join(header))}`"
        hint = f"Its first line is `{' '.join(COLUMNS)}`, with tabs between"
        raise UserError(what, where=path, hint=hint)
    known, problems = dict.fromkeys(sessions), []  # in their order, in which a message lists them
    entries: dict[str, list[Entry]] = {}
    for line, values in found:
        cells = [" ".join(value.split()) for value in values]
        if not any(cells):
            continue
        row = dict.fromkeys(COLUMNS, "") | dict(zip(header, cells, strict=False))
        entry = Entry(row["session"], row["speaker"], row["name"], line)
        problem = _problem(entry, len(cells), known, path)
        if problem:
            problems.append(f"{path}, line {entry.line}: {problem}")
        else:
            entries.setdefault(entry.session, []).append(entry)
    return SpeakerMap(entries, tuple(problems))


def _problem(entry: Entry, cells: int, sessions: Collection[str], path: Path) -> str | None:
    if cells > len(COLUMNS):
        return f"{cells} fields where the header has {len(COLUMNS)}. The row is left out"
    if not entry.speaker:
        return "`speaker` is empty. The row is left out"
    if is_long_name(entry.name):
        return f"`name` {TOO_LONG}. The row is left out"
    if entry.session not in sessions:
        error = unknown_session(entry.session, sessions, path)
        return f"{error.what}. {error.hint}"
    return None


def moment(speaker: str) -> tuple[float, float] | None:
    """Return the moment that stands for a speaker as seconds ``[start, end)``; None where it is a label.

    ``12:34`` is all of that second, as a transcript shows it.
    """
    match = MOMENT.fullmatch(speaker)
    if match is None:
        return None
    hours, minutes, whole, fraction = match.groups()
    start = 3600 * int(hours or 0) + 60 * int(minutes) + int(whole)
    return (start + float(fraction), start + float(fraction)) if fraction else (float(start), start + 1.0)
