"""The finished files: the transcript with names, in each format that is asked for.

All text is UTF-8 with LF line ends; every file's bytes depend on the transcript and the settings only. The
writers are in ``exports``.
"""

from collections.abc import Callable
from pathlib import Path

from sessionscribe.artifacts import Transcript
from sessionscribe.artifacts_audit import Audit
from sessionscribe.config import Export, Format
from sessionscribe.exports.annotation import aud, eaf, textgrid
from sessionscribe.exports.audited import audited
from sessionscribe.exports.captions import ass, srt, vtt
from sessionscribe.exports.document import docx
from sessionscribe.exports.page import html
from sessionscribe.exports.pdf import pdf
from sessionscribe.exports.reading import maxqda, md, txt
from sessionscribe.exports.scoring import ctm, rttm, seglst, stm, uem
from sessionscribe.exports.tables import csv, tsv
from sessionscribe.exports.whisper import whisper, whisperx
from sessionscribe.files import atomic_path
from sessionscribe.formats import READING

Writer = Callable[[Transcript, Export], str] | Callable[[Transcript, Export], bytes]
WRITERS: dict[Format, Writer] = {
    "whisper": whisper,
    "whisperx": whisperx,
    "srt": srt,
    "vtt": vtt,
    "ass": ass,
    "txt": txt,
    "md": md,
    "html": html,
    "docx": docx,
    "pdf": pdf,
    "maxqda": maxqda,
    "tsv": tsv,
    "csv": csv,
    "rttm": rttm,
    "uem": uem,
    "ctm": ctm,
    "stm": stm,
    "seglst": seglst,
    "TextGrid": textgrid,
    "aud": aud,
    "eaf": eaf,
}


def write_export(
    *, transcript: Transcript, format: Format, options: Export, output: Path, audit: Audit | None = None
) -> None:
    """Write a transcript to ``output`` in one format.

    Args:
        transcript: what was said, with names and corrections.
        format: which format.
        options: the settings of formats.
        output: the file to write.
        audit: what the formats to read (``formats.READING``) say of it at their end; none of the others.

    Raises:
        UserError: a font that the settings name cannot be read.
    """
    if format == "json":
        transcript.write(output)
        return
    if audit and format in READING:
        transcript = audited(transcript, audit)
    if audit and format == "html":
        content: str | bytes = html(transcript, options, audit.removed)
    else:
        content = WRITERS[format](transcript, options)
    with atomic_path(output) as temporary:
        temporary.write_bytes(content if isinstance(content, bytes) else content.encode())
