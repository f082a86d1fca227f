"""export: the finished files, written by ``formats``.

Text is UTF-8 with LF line ends. The bytes of a file depend on the transcript and the settings only.
"""

from collections.abc import Callable
from pathlib import Path

from sessionscribe.artifacts.audit import Audit
from sessionscribe.artifacts.plan import Timeline, Waveform
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.audio.playback import peaks
from sessionscribe.config.settings import Export, Format
from sessionscribe.core.files import atomic_path, write_text
from sessionscribe.formats.annotation import aud, eaf, textgrid
from sessionscribe.formats.captions import ass, srt, vtt
from sessionscribe.formats.document import docx
from sessionscribe.formats.page import html
from sessionscribe.formats.pdf import pdf
from sessionscribe.formats.pictures import svg
from sessionscribe.formats.reading import maxqda, md, txt
from sessionscribe.formats.registry import READING
from sessionscribe.formats.scoring import ctm, rttm, stm, uem
from sessionscribe.formats.tables import csv, tsv
from sessionscribe.formats.transcripts import seglst, whisper, whisperx
from sessionscribe.stages.audit.flags import audited

Writer = Callable[[Transcript, Export], str] | Callable[[Transcript, Export], bytes]
_WRITERS: tuple[Writer, ...] = (
    *(whisper, whisperx, srt, vtt, ass, txt, md, docx, pdf, svg, maxqda),
    *(tsv, csv, rttm, uem, ctm, stm, seglst, aud, eaf),
)
WRITERS = {writer.__name__: writer for writer in _WRITERS} | {"TextGrid": textgrid}


def draw_waveform(*, timeline: Timeline, audio: Path, output: Path) -> None:
    """Write the waveform of a session, whose converted tracks are in the folder ``audio``.

    Raises:
        UserError: a track is missing or damaged.
    """
    Waveform(session=timeline.session, peaks=peaks(timeline, audio)).write(output)


def write_export(
    *,
    transcript: Transcript,
    format: Format,
    options: Export,
    output: Path,
    audit: Audit | None = None,
    waveform: Waveform | None = None,
) -> None:
    """Write a transcript to ``output`` in one format.

    The audit is shown by formats for reading (``registry.READING``), the waveform by ``html``.

    Raises:
        UserError: a font of the settings cannot be read.
    """
    if format == "json":
        write_text(output, transcript.text())  # without a checksum, since people may edit it
        return
    if audit and format in READING:
        transcript = audited(transcript, audit)
    if format == "html":
        removed = audit.removed if audit else ()
        content: str | bytes = html(transcript, options, removed, waveform)
    else:
        content = WRITERS[format](transcript, options)
    with atomic_path(output) as temporary:
        temporary.write_bytes(content if isinstance(content, bytes) else content.encode())
