"""The transcript as a Word document."""

import io
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import Export
from sessionscribe.core.text import is_right_to_left, one_line
from sessionscribe.core.units import clock
from sessionscribe.formats.colours import on_light
from sessionscribe.formats.pictures import drawn
from sessionscribe.formats.reading import PICTURES, numbered, paragraphs, shares, summary

if TYPE_CHECKING:
    from docx.text.paragraph import Paragraph

EPOCH = datetime(1980, 1, 1, tzinfo=UTC)  # zip's earliest date: the same transcript gives the same bytes
TEXT_WIDTH = 6 * 914400  # of a page, in Word's units
GREY = (0x66, 0x66, 0x66)


def docx(transcript: Transcript, _: Export) -> bytes:
    """Return a Word document: a table of speakers, then paragraphs with time and speaker."""
    import docx as word  # noqa: PLC0415 -- only this format needs it

    document = word.Document()
    properties = document.core_properties
    properties.title, properties.author = one_line(transcript.session), "sessionscribe"
    properties.language = transcript.language
    properties.created = properties.modified = EPOCH
    document.add_heading(one_line(transcript.session), level=1)
    document.add_paragraph(summary(transcript))
    if speakers := shares(transcript):
        table = document.add_table(rows=1, cols=3, style="Light Grid Accent 1")
        rows = [("Speaker", "Time", "Share")]
        rows += [(part.speaker, clock(part.seconds), f"{part.share:.0%}") for part in speakers]
        for number, texts in enumerate(rows):
            cells = table.rows[0].cells if number == 0 else table.add_row().cells
            for cell, text in zip(cells, texts, strict=True):
                cell.text = text
        document.add_paragraph()
    picture = document.add_picture(io.BytesIO(drawn(transcript, kind="png")), TEXT_WIDTH)
    picture._inline.docPr.set("descr", PICTURES)
    colours = {speaker: on_light(number) for speaker, number in numbered(transcript).items()}
    for part in paragraphs(transcript):
        paragraph = document.add_paragraph()
        right_to_left = is_right_to_left(part.text)
        if right_to_left:
            _set_right_to_left(paragraph)
        _run(paragraph, clock(part.start), colour=GREY)
        if part.speaker:
            colour, turned = colours.get(part.speaker, GREY), is_right_to_left(part.speaker)
            _run(paragraph, f" {part.speaker}:", colour=colour, bold=True, turned=turned)
        _run(paragraph, f" {part.text}", turned=right_to_left)
    if transcript.flags:
        document.add_heading("Worth a look", level=2)
        for flag in transcript.flags:
            document.add_paragraph(one_line(flag), style="List Bullet")
    written = io.BytesIO()
    document.save(written)
    return _timeless(written.getvalue())


def _run(
    paragraph: "Paragraph",
    text: str,
    *,
    colour: tuple[int, int, int] | None = None,
    bold: bool = False,
    turned: bool = False,
) -> None:
    from docx.shared import RGBColor  # noqa: PLC0415

    run = paragraph.add_run(text)
    run.bold = run.font.cs_bold = bold or None
    run.font.rtl = turned or None
    if colour:
        run.font.color.rgb = RGBColor(*colour)


def _set_right_to_left(paragraph: "Paragraph") -> None:
    from docx.oxml import OxmlElement  # noqa: PLC0415

    properties = paragraph._p.get_or_add_pPr()
    # The schema has a fixed order: before these elements.
    followers = ("w:adjustRightInd", "w:snapToGrid", "w:spacing", "w:jc")
    properties.insert_element_before(OxmlElement("w:bidi"), *followers)


def _timeless(content: bytes) -> bytes:
    """Return a zip archive with the same members, all with the same date."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(result, "w") as target:
        for name in source.namelist():
            member = zipfile.ZipInfo(name, date_time=EPOCH.timetuple()[:6])
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3
            member.external_attr = 0o644 << 16
            target.writestr(member, source.read(name))
    return result.getvalue()
