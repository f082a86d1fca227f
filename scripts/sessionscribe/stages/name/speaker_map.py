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
from sessionscribe.core.errors import unknown_session
from sessionscribe.core.text import TOO_LONG, is_long_name

COLUMNS = ("session", "speaker", "name")
MOMENT = re.compile(r"(?:(\d+):)?(\d{1,3}):([0-5]\d)(\.\d+)?")


@dataclass(frozen=True)
class SpeakerMap:
    """The rows that can be used, as speaker and name by session, and a line for each that cannot.

    A speaker is a label or a moment; an empty name keeps the label.
    """

    rows: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def read(path: Path, sessions: Iterable[str]) -> SpeakerMap:
    """Read the table; a missing file is an empty one. What is wrong with a row concerns this row only.

    Args:
        path: the table.
        sessions: the names of all sessions that there are.

    Raises:
        UserError: the table as a whole cannot be understood (encoding, columns, a quotation mark that is not
            closed).
    """
    text = tables.read_text(path)
    if not text:
        return SpeakerMap()
    found = tables.rows(text, path)
    header = [cell.strip() for cell in next(found, (1, []))[1]]
    tables.check_header(header, COLUMNS, COLUMNS, path)
    known, problems = dict.fromkeys(sessions), []  # in their order, in which a message lists them
    rows: dict[str, list[list[str]]] = {}
    for line, values in found:
        cells = [" ".join(value.split()) for value in values]
        if not any(cells):
            continue
        row = dict.fromkeys(COLUMNS, "") | dict(zip(header, cells, strict=False))
        if problem := _problem(row, len(cells), known, path):
            problems.append(f"{path}, line {line}: {problem}")
        else:
            rows.setdefault(row["session"], []).append([row["speaker"], row["name"]])
    return SpeakerMap(rows, tuple(problems))


def _problem(row: Mapping[str, str], cells: int, sessions: Collection[str], path: Path) -> str | None:
    if cells > len(COLUMNS):
        return f"{cells} fields where the header has {len(COLUMNS)}. The row is left out"
    if not row["speaker"]:
        return "`speaker` is empty. The row is left out"
    if is_long_name(row["name"]):
        return f"`name` {TOO_LONG}. The row is left out"
    if row["session"] not in sessions:
        error = unknown_session(row["session"], sessions, path)
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
