"""The transcript as PDF.

Text is shaped by harfbuzz and ordered by the bidirectional algorithm. The font is DejaVu Sans, which covers
Latin, Greek, Cyrillic, Armenian, Georgian, Hebrew, Arabic and Lao; other scripts need ``export.pdf_fonts``.
Letters that no font has become an empty box, with a note at the end.
"""

import importlib.util
import io
import logging
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import Export
from sessionscribe.core.errors import UserError
from sessionscribe.core.text import clusters, is_right_to_left, one_line
from sessionscribe.core.units import clock
from sessionscribe.formats.colours import on_light
from sessionscribe.formats.pictures import drawn
from sessionscribe.formats.reading import PICTURES, Paragraph, numbered, paragraphs, shares, summary

if TYPE_CHECKING:
    from fpdf import FPDF

EPOCH = datetime(1980, 1, 1, tzinfo=UTC)  # the same transcript gives the same bytes
FAMILY = "DejaVu"
MARGIN_MM = 20.0
LINE_MM = 5.5
CLOCK_MM = 22.0
BOX = "□"
INVISIBLE = {"Cf", "Mn", "Zs"}
GREY = (0x66, 0x66, 0x66)
BLACK = (0, 0, 0)


def pdf(transcript: Transcript, options: Export) -> bytes:
    """Return a PDF: speakers with their talk times, then paragraphs with time and speaker.

    Raises:
        UserError: a font of ``pdf_fonts`` cannot be read.
    """
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    logging.getLogger("fpdf").setLevel(logging.ERROR)  # missing letters are noted at the end
    title = one_line(transcript.session)
    page = _empty(title, options)
    page.set_lang(transcript.language)
    letters = _Letters(page)
    page.set_font(FAMILY, "B", 18)
    _write(page, letters.available(title))
    page.set_font(FAMILY, "", 10)
    _write(page, summary(transcript), colour=GREY)
    page.ln(3)
    colours = {speaker: on_light(number) for speaker, number in numbered(transcript).items()}
    for share in shares(transcript):
        page.set_font(FAMILY, "B", 10)
        name, colour = letters.available(share.speaker), colours[share.speaker]
        _write(page, name, colour=colour, align="L", width=80, goes_on=True)
        page.set_font(FAMILY, "", 10)
        _write(page, f"{clock(share.seconds)}   {share.share:.0%}", colour=GREY)
    page.ln(4)
    page.image(io.BytesIO(drawn(transcript, fonts=False)), w=page.epw, alt_text=PICTURES)
    page.ln(4)
    for paragraph in paragraphs(transcript):
        _paragraph(page, paragraph, letters, colours.get(paragraph.speaker or "", BLACK))
    notes = [letters.available(one_line(flag)) for flag in transcript.flags]
    if letters.missing:
        codes = " ".join(f"U+{ord(c):04X}" for c in sorted(letters.missing)[:40])
        notes.append(f"{BOX} stands for letters that no font has ({codes}): see export.pdf_fonts")
    if notes:
        page.ln(4)
        page.set_font(FAMILY, "B", 12)
        _write(page, "Worth a look")
        page.set_font(FAMILY, "", 10)
        for note in notes:
            _write(page, f"– {note}")
    return bytes(page.output())


class _Letters:
    """The letters of the fonts; fpdf2 would silently leave out others."""

    def __init__(self, page: "FPDF") -> None:
        self._codes = {code for font in page.fonts.values() for code in getattr(font, "cmap", {})}
        self.missing: set[str] = set()

    def available(self, text: str) -> str:
        """Return ``text`` with a box for every letter that no font has, and collect these letters."""
        shown = ""
        for cluster in clusters(text):
            lacks = {
                c for c in cluster if ord(c) not in self._codes and unicodedata.category(c) not in INVISIBLE
            }
            self.missing |= lacks
            shown += BOX if lacks else cluster
        return shown


def _empty(title: str, options: Export) -> "FPDF":
    from fontTools.ttLib import TTLibError  # noqa: PLC0415
    from fpdf import FPDF, FPDFException  # noqa: PLC0415 -- only this format needs it

    class Numbered(FPDF):
        def footer(self) -> None:
            self.set_y(-15)
            self.set_font(FAMILY, "", 8)
            self.set_text_color(*GREY)
            self.cell(0, 5, f"{self.page_no()}", align="C")

    page = Numbered(format=options.pdf_page)
    page.set_creation_date(EPOCH)
    page.set_title(title)
    page.set_producer("sessionscribe")
    page.set_margins(MARGIN_MM, MARGIN_MM)
    page.set_auto_page_break(auto=True, margin=MARGIN_MM)
    for style, name in (("", "DejaVuSans.ttf"), ("B", "DejaVuSans-Bold.ttf")):
        page.add_font(FAMILY, style, _dejavu() / name)
    others = []
    for number, path in enumerate(options.pdf_fonts):
        others.append(f"other{number}")
        try:
            page.add_font(others[-1], "", Path(path))
        except (OSError, ValueError, TTLibError, FPDFException) as error:
            hint = "Name a TTF or OTF file in export.pdf_fonts"
            raise UserError(f"is not a readable font ({error})", where=path, hint=hint) from error
    # Its own font, too: some letters are missing in bold.
    page.set_fallback_fonts([FAMILY, *others], exact_match=False)
    page.set_text_shaping(True)
    page.add_page()
    return page


def _dejavu() -> Path:
    """Return the folder of the DejaVu fonts in matplotlib, whose import would take a second."""
    found = importlib.util.find_spec("matplotlib")
    assert found is not None
    assert found.submodule_search_locations
    return Path(found.submodule_search_locations[0]) / "mpl-data/fonts/ttf"


def _write(
    page: "FPDF",
    text: str,
    *,
    colour: tuple[int, int, int] = BLACK,
    align: str = "",
    width: float = 0,
    goes_on: bool = False,
) -> None:
    """Write a paragraph ``width`` mm wide (0: to the margin).

    With ``goes_on`` it is a single line, shortened if necessary, and the next paragraph is put beside it.
    """
    from fpdf.enums import XPos, YPos  # noqa: PLC0415

    page.set_text_color(*colour)
    if goes_on:
        text = _shortened(page, text, width - 2 * page.c_margin)
    page.multi_cell(
        width,
        LINE_MM if page.font_size_pt < 14 else 9,
        text,
        align=align or ("R" if is_right_to_left(text) else "L"),
        new_x=XPos.RIGHT if goes_on else XPos.LMARGIN,
        new_y=YPos.TOP if goes_on else YPos.NEXT,
    )


def _shortened(page: "FPDF", text: str, width: float) -> str:
    found = clusters(text)
    while len(found) > 1 and page.get_string_width("".join(found)) > width:
        found = [*found[:-2], "…"]
    return "".join(found)


def _paragraph(page: "FPDF", paragraph: Paragraph, letters: _Letters, colour: tuple[int, int, int]) -> None:
    if page.will_page_break(3 * LINE_MM):
        page.add_page()  # keep the heading with its text
    from_right = is_right_to_left(paragraph.text)
    name = ("B", letters.available(paragraph.speaker or ""), colour, page.epw - CLOCK_MM)
    time = ("", clock(paragraph.start), GREY, CLOCK_MM)
    for number, (style, text, ink, width) in enumerate((time, name) if from_right else (name, time)):
        page.set_font(FAMILY, style, 10)
        _write(page, text, colour=ink, align="LR"[number], width=width, goes_on=number == 0)
    page.set_font(FAMILY, "", 10)
    _write(page, letters.available(paragraph.text))
    page.ln(2.5)
