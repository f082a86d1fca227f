"""Tables with a row for each segment."""

import csv as csv_module
import io
from collections.abc import Iterable
from statistics import fmean
from typing import Any

from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import Export
from sessionscribe.core.tables import guarded, unguarded
from sessionscribe.core.text import one_line
from sessionscribe.core.units import milliseconds


def tsv(transcript: Transcript, _: Export) -> str:
    """Return tab-separated values, with times in whole milliseconds as in Whisper's own tsv."""
    rows = (
        [milliseconds(part.start), milliseconds(part.end), _cell(part.speaker or ""), _cell(part.text)]
        for part in transcript.segments
    )
    return _table(["start", "end", "speaker", "text"], rows, delimiter="\t")


def csv(transcript: Transcript, _: Export) -> str:
    """Return comma-separated values: times in seconds, number of words, their mean probability."""
    rows = []
    for part in transcript.segments:
        sure = f"{fmean(word.probability for word in part.words):.3f}" if part.words else ""
        texts = [_cell(part.speaker or ""), _cell(part.text)]
        rows.append([f"{part.start:.3f}", f"{part.end:.3f}", *texts, len(part.words), sure])
    return _table(["start", "end", "speaker", "text", "words", "probability"], rows, delimiter=",")


def _table(header: list[str], rows: Iterable[list[Any]], *, delimiter: str) -> str:
    table = io.StringIO()
    csv_module.writer(table, delimiter=delimiter, lineterminator="\n").writerows([header, *rows])
    return table.getvalue()


def _cell(text: str) -> str:
    """Return ``text`` as a cell on one line that spreadsheets do not evaluate as a formula."""
    return guarded(one_line(text))


def cell_text(cell: str) -> str:
    """Return the text of a cell of `csv` or `tsv`, on one line."""
    return unguarded(one_line(cell))
