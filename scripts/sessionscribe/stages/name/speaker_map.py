"""The table of names, in which a person writes down who the speakers of sessions are.

It is tab-separated, with the columns ``session``, ``speaker`` and ``name``. ``speaker`` is a label
(``SPEAKER_01``) or a time at which that speaker talks (``12:34``), which stays right if labels change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sessionscribe.core import tables
from sessionscribe.core.errors import unknown_session
from sessionscribe.core.text import TOO_LONG, is_long_name
from sessionscribe.core.units import parse_clock

COLUMNS = ("session", "speaker", "name")


@dataclass(frozen=True)
class SpeakerMap:
    """The valid rows, as speaker and name by session, and a message for each invalid row.

    A speaker is a label or a time; an empty name keeps the label.
    """

    rows: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def read(path: Path, sessions: Iterable[str]) -> SpeakerMap:
    """Read the table; a missing file is empty, and an invalid row is left out.

    Args:
        path: the table.
        sessions: the names of all sessions.

    Raises:
        UserError: the table as a whole is invalid (encoding, columns, unclosed quotation marks).
    """
    text = tables.read_text(path)
    if not text:
        return SpeakerMap()
    found = tables.rows(text, path)
    header = [cell.strip() for cell in next(found, (1, []))[1]]
    tables.check_header(header, COLUMNS, COLUMNS, path)
    known, problems = dict.fromkeys(sessions), []
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
    """Return the time that stands for a speaker as seconds ``[start, end)``; None for a label.

    ``12:34`` is all of that second, as transcripts show it.
    """
    start = parse_clock(speaker) if ":" in speaker else None
    if start is None:
        return None
    return (start, start) if "." in speaker or "," in speaker else (start, start + 1)
