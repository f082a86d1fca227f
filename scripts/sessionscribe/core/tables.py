"""Tab-separated tables that people edit."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from sessionscribe.core.errors import UserError, meant, visible
from sessionscribe.core.files import decoded

# How a formula begins in spreadsheets: after any apostrophes and zero-width marks, with a sign, which may be
# full-width as in Japanese.
_FORMULA = re.compile("'*[\u200b-\u200f\u2060\ufeff]*[=+@\uff1d\uff0b\uff0d\uff20-]")
_HINT = 'A cell that begins with `"` ends with one, too, and each `"` between them is doubled'


class _Semicolons(csv.excel):
    """What Excel writes in countries where numbers have a decimal comma."""

    delimiter = ";"


DIALECTS: dict[str, type[csv.Dialect]] = {"\t": csv.excel_tab, ",": csv.excel, ";": _Semicolons}
"""Formats of tables, by what separates their columns."""


def guarded(cell: str) -> str:
    """Return a cell that no spreadsheet computes: an apostrophe is put before what looks like a formula.

    Apostrophes that are already there are kept; `unguarded` removes only the added one.
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unguarded(cell: str) -> str:
    """Undo `guarded`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def rows(
    text: str, path: Path, dialect: type[csv.Dialect] = csv.excel_tab
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a table, each with the number of its first line, from 1.

    Args:
        text: the table; line ends as in the file.
        path: the file, for messages.
        dialect: the format.

    Raises:
        UserError: a quotation mark is not closed, so that everything after it could be part of the cell.
    """
    # Without `strict`, the cell would silently swallow the rest of the file.
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


def read_text(path: Path) -> str | None:
    """Return the text of a table with its line ends; None if there is no file.

    Raises:
        UserError: the file cannot be read or is not UTF-8.
    """
    try:
        return decoded(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(
            f"cannot be read ({error.strerror})", where=path, hint="Check its permissions"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(f"cannot be read ({error})", where=path, hint="Save it as UTF-8 text") from error


def check_header(
    header: Sequence[str], columns: Collection[str], required: Iterable[str], path: Path
) -> None:
    """Check the column names of a table.

    Raises:
        UserError: a column is unknown, missing, or occurs twice.
    """
    for name in header:
        if name not in columns:
            if set(re.split(r"[,;\s]+", name)) <= set(columns):
                what, hint = "its columns are not separated by tabs", "Save it as tab-separated text"
                raise UserError(what, where=path, hint=hint)
            raise UserError(f"there is no column `{visible(name)}`", where=path, hint=meant(name, columns))
        if header.count(name) > 1:
            raise UserError(f"there are two columns `{name}`", where=path, hint="Join them, or remove one")
    for name in required:
        if name not in header:
            hint = "Put it back; columns are separated by tabs"
            raise UserError(f"the column `{name}` is missing", where=path, hint=hint)


def text_of(rows: Iterable[Iterable[str]]) -> str:
    """Return the text of a table; cells with tabs, quotes or line breaks are quoted."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, "excel-tab", lineterminator="\n")
    quoting = csv.writer(text, "excel-tab", lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        cells = list(row)
        # Before Python 3.13, `csv` does not quote a lone carriage return.
        (quoting if any("\r" in cell for cell in cells) else writer).writerow(cells)
    return text.getvalue()
