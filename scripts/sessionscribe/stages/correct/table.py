"""The corrections file of a session, ``config/corrections/{session}.tsv``: one row per edit.

The table is tab-separated, with times as in transcripts, so that people can read and write it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, get_args

from sessionscribe.core import tables
from sessionscribe.core.errors import UserError, unknown_session, visible
from sessionscribe.core.files import write_text
from sessionscribe.core.text import TOO_LONG, is_long_name, one_line
from sessionscribe.core.tokens import atoms
from sessionscribe.core.units import exact_clock, parse_clock

FOLDER = "config/corrections"
Kind = Literal["words", "speaker", "name"]
REQUIRED = ("edit", "was", "now")
_HINT = "docs/usage.md (Correct a transcript) shows the columns"


@dataclass(frozen=True, slots=True)
class Edit:
    """One row; times are in seconds.

    - ``words`` replaces the words ``was`` at ``start`` with ``now``. An empty ``now`` deletes words, an
      empty ``was`` adds them (by ``speaker``, if not the neighbour's). Without a time, it applies everywhere.
    - ``speaker`` gives the words ``was``, or all words, between ``start`` and ``end`` to the speaker ``now``.
    - ``name`` renames the speaker ``was`` to ``now``. If labels have changed, it means whoever speaks
      between ``start`` and ``end``.

    ``before`` and ``after`` are the surrounding words. ``line`` counts from 1; 0: not in a file yet.
    """

    edit: Kind
    start: float | None = None
    end: float | None = None
    speaker: str = ""
    was: str = ""
    now: str = ""
    before: str = ""
    after: str = ""
    note: str = ""
    author: str = ""
    date: str = ""
    line: int = field(default=0, compare=False)

    @property
    def called(self) -> str:
        """How messages refer to it."""
        return f"line {self.line}" if self.line else "another change of this copy"


COLUMNS = tuple(f.name for f in fields(Edit) if f.name != "line")


def path_of(session: str, root: Path = Path()) -> Path:
    """Return the path of a session's corrections file."""
    return root / FOLDER / f"{session}.tsv"


def checksums(root: Path) -> dict[str, str]:
    """Return the SHA-256 of every session's corrections file."""
    files = (file for file in (root / FOLDER).glob("*.tsv") if not file.name.startswith("."))
    return {file.stem: hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()}


def strays(found: Iterable[str], sessions: Collection[str]) -> list[str]:
    """Return a message for each corrections file of an unknown session."""
    unknown = sorted(set(found) - set(sessions))
    return [str(unknown_session(name, sessions, path_of(name))) for name in unknown]


def read(path: Path) -> list[Edit]:
    """Read a corrections file; a missing file has no edits.

    Raises:
        UserError: the file is not UTF-8, a column is unknown or missing, or a row is invalid.
    """
    edits: list[Edit] = []
    header: list[str] = []
    for line, values in tables.rows(tables.read_text(path) or "", path):
        if any("\n" in value or "\r" in value for value in values):
            raise UserError("a quotation mark is not closed", where=f"{path}, line {line}", hint=_HINT)
        if not header:
            header = [value.strip() for value in values]
            tables.check_header(header, COLUMNS, REQUIRED, path)
        elif any(value.strip() for value in values):
            edits.append(_parse(header, values, line, path))
    return edits


def write(path: Path, edits: Iterable[Edit]) -> None:
    """Write a corrections file atomically, in the order of time, or delete it if there are no edits.

    Raises:
        UserError: an edit is invalid, so that it could not be read again.
    """
    rows = sorted(edits, key=lambda e: (e.edit != "name", e.start is not None, e.start or 0.0, e.edit))
    if not rows:
        path.unlink(missing_ok=True)
        return
    for row in rows:
        if problem := _problem(row):
            raise UserError(problem, where=f"{path}, {row.called}", hint="Nothing was noted")
    cells = (
        [row.edit, exact_clock(row.start), exact_clock(row.end)]
        + [tables.guarded(one_line(getattr(row, name))) for name in COLUMNS[3:]]
        for row in rows
    )
    write_text(path, tables.text_of([COLUMNS, *cells]))


def _parse(header: list[str], values: list[str], line: int, path: Path) -> Edit:
    problem = None
    if len(values) > len(header) and any(value.strip() for value in values[len(header) :]):
        problem = f"{len(values)} fields where the header has {len(header)}"
    cells = {name: tables.unguarded(one_line(value)) for name, value in zip(header, values, strict=False)}
    kind = cells.pop("edit") or "words"
    if kind not in get_args(Kind):
        problem = problem or f"`edit` must be words, speaker or name and is `{visible(kind)}`"
    times: dict[str, float | None] = {}
    for name in ("start", "end"):
        given = cells.pop(name, "")
        times[name] = parse_clock(given)
        if given and times[name] is None:
            problem = problem or f"`{name}` must be a time such as 1:02:03.5 and is `{visible(given)}`"
    edit = Edit(kind, **times, **cells, line=line)  # type: ignore[arg-type]
    if problem := problem or _problem(edit):
        raise UserError(problem, where=f"{path}, line {line}", hint=_HINT)
    return edit


def _problem(edit: Edit) -> str | None:
    """Return what is wrong with an edit; invisible characters do not count as text."""
    timeless, was, now = edit.start is None, atoms(edit.was), atoms(edit.now)
    checks = {
        "ends before it begins": None not in (edit.start, edit.end) and edit.end < edit.start,  # type: ignore[operator]
        "has neither `was` nor `now`": edit.edit == "words" and not (was or now),
        "`start` is missing: when are these words said?": edit.edit == "words" and timeless and not was,
        "`now` is missing: who is it?": edit.edit != "words" and not now,
        f"`now` {TOO_LONG}": edit.edit != "words" and is_long_name(edit.now),
        f"`speaker` {TOO_LONG}": is_long_name(edit.speaker),
        "`was` is missing: which speaker is it?": edit.edit == "name" and not was,
        "needs `start`, and `end` or the words (`was`)": edit.edit == "speaker"
        and (timeless or not (was or edit.end is not None)),
    }
    return next((problem for problem, found in checks.items() if found), None)
