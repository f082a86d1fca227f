"""Rows of tables that people edit: a quotation mark that is not closed swallows nothing."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from sessionscribe.core.errors import UserError, visible

# What spreadsheets take for a formula at the start of a cell, whatever apostrophes and marks without a width
# are before it; the full-width signs where Japanese is written.
_FORMULA = re.compile("'*[\u200b-\u200f\u2060\ufeff]*[=+@\uff1d\uff0b\uff0d\uff20-]")
_HINT = 'A cell that begins with `"` ends with one, too, and each `"` between them is doubled'


def guarded(cell: str) -> str:
    """Return a cell that no spreadsheet computes: what looks like a formula gets an apostrophe.

    So does what begins with apostrophes and would then look like it: `unguarded` can tell which was there.
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unguarded(cell: str) -> str:
    """Return a cell as it was before `guarded`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def rows(text: str, path: Path, dialect: str = "excel-tab") -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a table, each with the line in which it begins, from 1.

    Args:
        text: the table; line ends as they are in the file.
        path: where it is from, for messages.
        dialect: how cells are told apart, as `csv` calls it.

    Raises:
        UserError: where a row begins of which it cannot be said where it ends. All that follows could be
            part of one of its cells.
    """
    # Not strict, it would take the rest of the file for the cell, and the quotation marks for nothing.
    reader = csv.reader(io.StringIO(text, newline=""), dialect, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            what = f"a quotation mark is not closed at the end of its cell ({visible(str(error))})"
            raise UserError(what, where=f"{path}, line {line}", hint=_HINT) from error
        yield line, cells
