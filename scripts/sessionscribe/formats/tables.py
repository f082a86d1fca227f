"""Tables: a row for each segment."""

import csv as csv_module
import io

from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import Export
from sessionscribe.core.tables import guarded, unguarded
from sessionscribe.core.text import one_line
from sessionscribe.core.units import milliseconds


def tsv(transcript: Transcript, _: Export) -> str:
    """Tab-separated, times in whole milliseconds (as in Whisper's own tsv)."""
    table = io.StringIO()
    writer = csv_module.writer(table, delimiter="\t", lineterminator="\n")
    writer.writerow(["start", "end", "speaker", "text"])
    for segment in transcript.segments:
        row = [milliseconds(segment.start), milliseconds(segment.end)]
        writer.writerow([*row, _cell(segment.speaker or ""), _cell(segment.text)])
    return table.getvalue()


def csv(transcript: Transcript, _: Export) -> str:
    """Comma-separated, for spreadsheets: times in seconds, number of words, their mean probability."""
    table = io.StringIO()
    writer = csv_module.writer(table, lineterminator="\n")
    writer.writerow(["start", "end", "speaker", "text", "words", "probability"])
    for segment in transcript.segments:
        count = len(segment.words)
        sure = f"{sum(word.probability for word in segment.words) / count:.3f}" if count else ""
        texts = [_cell(segment.speaker or ""), _cell(segment.text)]
        writer.writerow([f"{segment.start:.3f}", f"{segment.end:.3f}", *texts, count, sure])
    return table.getvalue()


def _cell(text: str) -> str:
    """Return ``text`` on one line, as a cell that no spreadsheet computes."""
    return guarded(one_line(text))


def uncomputed(cell: str) -> str:
    """Return a cell of `csv` or `tsv` as it was, on one line."""
    return unguarded(one_line(cell))
