"""Rows of tables that people edit: a quotation mark that is not closed swallows nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from sessionscribe.core.errors import UserError, visible

_HINT = 'A cell that begins with `"` ends with one, too, and each `"` between them is doubled'


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
