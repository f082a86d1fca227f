"""Read an edited copy of an export: its words and speakers, in the order of the file.

Times in the copy are ignored. Text without a speaker leaves the speaker unchanged.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sessionscribe.core import tables
from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.files import read_text
from sessionscribe.core.text import one_line, undirected
from sessionscribe.core.tokens import alike, atoms, shown
from sessionscribe.formats import references
from sessionscribe.formats.captions import LAST_NUMBER, STYLE_IN_SRT, actor, in_ass, in_srt
from sessionscribe.formats.reading import maxqda_lines, maxqda_name
from sessionscribe.formats.registry import ending
from sessionscribe.formats.scoring import NOBODY, field
from sessionscribe.formats.tables import cell_text

COLONS = (":", "：")
"""What ends a speaker's label; the second one is used in Chinese and Japanese."""
# MAXQDA does not accept longer names. French has a space before the colon.
_LABEL = re.compile(r"([^\s:：](?:[^:：\n]{0,61}[^\s:：])?)\s*(?::(?:\s+|$)|：\s*)")
_LABEL_END = re.compile(r"\s*(?::(?=\s|$)|：)|(?<=\])\s|\s[-–—]\s")  # also `[Anna] Hello` and `Anna – Hello`
_DASH = re.compile(r"^[-–—]+\s*")  # before each speaker of a subtitle
MOST_LABEL = 64
"""Where a label's colon is looked for, in characters."""
_CLOCK = re.compile(r"[\[(]?(?:\d{1,3}:)?\d{1,2}:\d{2}(?:[.,]\d+)?[\])]?(?=\s|$)")
_STYLE_IN_ASS = re.compile(r"\{[^}]*\}")
_SUMMARY = re.compile(r"[\d:]+ · [\w-]+( · \d+ speakers?)?")
# In a Word document with tracked changes, what was deleted or moved away is left out.
_PARAGRAPHS = ".//w:p[not(ancestor::w:tbl or ancestor::w:txbxContent)]"
_RUNS = ".//w:r[not(ancestor::w:del or ancestor::w:moveFrom or ancestor::w:rt or ancestor::w:txbxContent)]"
MOST_UNPACKED = 200_000_000
"""Maximum size of a Word document's content in bytes; a transcript of four hours has a twentieth."""
# What formats that require a speaker write if there is none.
_NOBODY_IN = {"maxqda": "?", "stm": NOBODY, "json": NOBODY}
_ENDS = "Worth a look"  # the heading above an export's list of flags
# How formats begin that programs (Audacity, Excel, Notepad) save as `.txt`.
_BEGINNINGS = {
    "aud": r"[\d.,]+\t[\d.,]+\t",
    "tsv": r"(?:[^\t\n]*\t)+text\s",
    "csv": r'(?:"?\w+"?[,;]){2,}"?text\b',
    "srt": r"(?:\d+\n)?[\d:,]+ --> ",
    "vtt": "WEBVTT",
    "ass": r"\[Script Info\]",
    "maxqda": r"[^\n]*#\d+:\d\d:\d\d-\d#",
    "md": r"# .*\n\n[\d:]+ · ",
    "json": r"\{|\[\s*\{",
    "stm": r"(?:;.*\n)*(?:\S+ ){3}\d+\.\d+ \d+\.\d+ ",
}


@dataclass(frozen=True)
class Line:
    """A cue, a paragraph or a row; ``speaker`` as it is written.

    Rows of a cue are separated by line breaks; ``actor`` is the speaker whom SubStation has beside the text.
    """

    text: str
    speaker: str | None = None
    actor: str = ""


@dataclass(frozen=True)
class EditToken:
    """A token of the edited file; ``line`` is the number of its `Line`."""

    text: str
    speaker: str | None
    line: int


def format_of(path: Path) -> str:
    """Return the format of a file: by its name, or by its beginning if the name ends in ``.txt``.

    Raises:
        UserError: this format cannot be read.
    """
    name = path.name.lower()
    endings = [known for known in FORMAT_OF if name.endswith(known)]
    if not endings:
        known = " ".join(sorted(known for known in FORMAT_OF if known.count(".") == 1))
        raise UserError("is not a format that can be read back", where=path, hint=f"Edit one of: {known}")
    kind = FORMAT_OF[max(endings, key=len)]
    begin = undirected(_text(path)) if kind == "txt" and path.is_file() else ""
    return next((found for found, pattern in _BEGINNINGS.items() if re.match(pattern, begin)), kind)


def read(
    path: Path, speakers: Collection[str], words: Collection[str], original: Sequence[Line] = ()
) -> list[EditToken]:
    """Return the words and speakers of an edited file.

    Args:
        path: the file.
        speakers: the transcript's speakers, to tell labels from text.
        words: the transcript's words; one that ends with a colon is no label.
        original: the `lines` of the unedited export, to recognise new labels.

    Raises:
        UserError: it is missing, damaged, or of an unknown format.
    """
    kind, found = format_of(path), lines(path)
    if kind in LABELLED:
        found = _labelled(found, speakers, words, original)
    names = _spellings(speakers)
    if kind in _NOBODY_IN:
        names[_NOBODY_IN[kind]] = None
    return [
        EditToken(text, names.get(line.speaker or "", line.speaker), number)
        for number, line in enumerate(found)
        for text in atoms(line.text)
    ]


def lines(path: Path) -> list[Line]:
    """Return the lines of an export or a copy. In `LABELLED` formats the text includes the speaker's label.

    Raises:
        UserError: it is missing, damaged, or of an unknown format.
    """
    kind = format_of(path)
    if not path.is_file():
        raise UserError("there is no such file", where=path, hint="Check the path")
    return READERS[kind](path)


def _spellings(speakers: Iterable[str]) -> dict[str, str | None]:
    """Return the speakers by all spellings that exports use."""
    found: dict[str, str | None] = {"?": None, NOBODY: None}
    for name in speakers:
        line = one_line(name)
        qda = maxqda_name(line).replace("＃", "#")
        written = (line, field(name), qda, in_srt(line), in_ass(line), actor(line))
        found.update(dict.fromkeys((*written, *map(undirected, written)), name))
    return found | {"": None}


def _labelled(
    lines: Sequence[Line], speakers: Collection[str], words: Collection[str], original: Sequence[Line]
) -> list[Line]:
    """Return lines with the speaker's label, if there is one, moved out of their text.

    A known speaker is always a label, as is what stands before the first words of an original line. Both may
    begin any row of a cue. Other text before a colon, unless it ends in a word of the transcript (``Note: it
    rains`` may be a sentence), is a label if most lines have known labels, if it opens several lines, or if
    the original has a label there. A label without text is that of the next line.
    """
    names = _spellings(speakers)
    known = sorted(filter(None, names), key=len, reverse=True)
    own = [
        _known_label(line.text, known) or (line.speaker and (line.speaker, line.text)) for line in original
    ]
    starts = {_start(found[1]) for found in own if found} - {()}
    unchanged = {row for line in original for row in (line.text, *line.text.split("\n"))}

    def sure(text: str) -> tuple[str, str] | None:
        """Return the label that certainly begins a text, and the rest."""
        bare = _DASH.sub("", text)
        ends = _LABEL_END.finditer(bare, 1, MOST_LABEL) if text not in unchanged else ()
        parts = ((bare[: end.start()].strip("[]"), bare[end.end() :]) for end in ends)
        new = (part for part in parts if f"{part[0]}:".split()[-1] not in words)
        return _known_label(bare, known) or next((part for part in new if _start(part[1]) in starts), None)

    lines = [part for line in lines for part in _parts(line, sure)]
    certain = [None if line.speaker else sure(line.text) for line in lines]
    matches = [None if line.speaker else _LABEL.match(line.text) for line in lines]
    often = Counter(match[1] for match in matches if match)
    most = 2 * sum(label is not None for label in certain) >= len(lines)
    spoken = {alike(shown(atom)) for text in words for atom in atoms(text)}

    def is_expected(number: int, label: str) -> bool:
        if not any(own):
            return alike(shown(atoms(label)[-1])) not in spoken
        return bool(own[number]) if len(lines) == len(own) else 2 * sum(map(bool, own)) >= len(own)

    found: list[Line] = []
    for number, (line, label, match) in enumerate(zip(lines, certain, matches, strict=True)):
        likely = (
            match
            and f"{match[1]}:".split()[-1] not in words
            and (most or often[match[1]] > 1 or is_expected(number, match[1]))
        )
        speaker, text = line.speaker, line.text
        if label:
            speaker, text = label
        elif match and likely:
            speaker, text = match[1], line.text[match.end() :]
        elif found and not found[-1].text:
            speaker = speaker or found[-1].speaker
        if line.actor not in names and (speaker is None or speaker in names):
            speaker = line.actor
        found.append(Line(text.strip(), speaker))
    return found


def _known_label(text: str, known: Iterable[str]) -> tuple[str, str] | None:
    """Return the first known speaker whose label begins a text, and the rest."""
    for name in known:
        rest = text[len(name) :].lstrip() if text.startswith(name) else ""
        if rest[:1] in COLONS:
            return name, rest[1:]
    return None


def _start(text: str) -> tuple[str, ...]:
    """Return the first words of a text, in the form in which they are compared."""
    return tuple(filter(None, (alike(shown(atom)) for atom in atoms(text[:200])[:3])))


def _parts(line: Line, label: Callable[[str], object]) -> Iterator[Line]:
    """Yield a cue in parts, each beginning with a label, as editors join cues of several speakers."""
    part, *rows = line.text.split("\n")
    for row in rows:
        if label(row):
            yield replace(line, text=part)
            part = row
        else:
            part += f"\n{row}"
    yield replace(line, text=part)


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except UnicodeDecodeError as error:
        hint = "Save it as UTF-8"
        raise UserError(f"is not UTF-8 text (byte {error.start})", where=path, hint=hint) from error
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=path, hint="Check the file") from error


def _subtitles(path: Path) -> list[Line]:
    import pysubs2  # noqa: PLC0415

    kind = format_of(path)
    text = _text(path) + LAST_NUMBER * (kind == "srt")
    try:
        events = pysubs2.SSAFile.from_string(text, format_=kind)
    except (pysubs2.Pysubs2Error, ValueError, LookupError) as error:
        what = f"is not a valid {kind} ({visible(str(error))})"
        raise UserError(what, where=path, hint="Export it again") from error
    style = STYLE_IN_SRT if kind == "srt" else _STYLE_IN_ASS
    return [
        Line("\n".join(map(_plain, re.split(r"\\[Nn]", style.sub("", event.text)))), actor=_plain(event.name))
        for event in events
        if not event.is_comment
    ]


def _plain(text: str) -> str:
    return one_line(undirected(text))


def _text_lines(path: Path) -> list[Line]:
    found = map(_plain, re.split(r"[\n\v\f\x85\u2028\u2029]|\s(?=\[\d+:\d\d:\d\d\] )", _text(path)))
    return [
        Line(_CLOCK.sub("", line, count=1).strip() if _CLOCK.match(line) else line) for line in found if line
    ]


def _maxqda(path: Path) -> list[Line]:
    return [Line(_plain(line)) for line in maxqda_lines(undirected(_text(path)))]


def _markdown(path: Path) -> list[Line]:
    blocks = (_plain(block) for block in re.split(r"\n\s*\n|\s(?=\d+:\d\d:\d\d (?:\*\*|__))", _text(path)))
    # Editors escape more than we do: any punctuation.
    plain = [
        re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", re.sub(r"(?<!\\)(?:\*\*|__)", "", block)) for block in blocks
    ]
    return list(_paragraphs(plain, heading=lambda text: text.startswith(("#", "|", "![", "[image"))))


def _docx(path: Path) -> list[Line]:
    import docx  # noqa: PLC0415
    from docx.text.paragraph import Paragraph  # noqa: PLC0415

    try:
        data = io.BytesIO(path.read_bytes())
        with zipfile.ZipFile(data) as archive:
            if sum(member.file_size for member in archive.infolist()) > MOST_UNPACKED:
                raise ValueError("its content would fill the memory")
        document = docx.Document(data)
        found = [
            (_plain("".join(run.text for run in p.xpath(_RUNS))), Paragraph(p, document).style)
            for p in document.element.body.xpath(_PARAGRAPHS)
        ]
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=path, hint="Check the file") from error
    except Exception as error:  # whichever of zipfile, zlib, struct, lxml and python-docx notices the damage
        raise UserError("is not a Word document, or damaged", where=path, hint="Save it as .docx") from error
    headings = {text for text, style in found if style and str(style.name).startswith("Heading")}
    return list(_paragraphs([text for text, _ in found], heading=headings.__contains__))


def _paragraphs(texts: Iterable[str], heading: Callable[[str], bool]) -> Iterator[Line]:
    """Yield the transcript's paragraphs: from the first one with a time or a label to the list of flags."""
    begun = False
    for text in texts:
        if begun and heading(text) and text.lstrip("# ") == _ENDS:
            return
        if heading(text) or _SUMMARY.fullmatch(text):
            continue
        begun = begun or bool(_CLOCK.match(text) or _LABEL.match(text))
        if begun and text:
            yield Line(_CLOCK.sub("", text, count=1).strip() if _CLOCK.match(text) else text)


def _table(path: Path) -> list[Line]:
    text = _text(path)
    first = text.partition("\n")[0]
    found = tables.rows(text, path, tables.DIALECTS[max(tables.DIALECTS, key=first.count)])
    _, header = next(found, (1, []))
    if "text" not in header:
        there = visible(", ".join(header) or "nothing")
        raise UserError(f"has no column `text` (there is {there})", where=path, hint="Export it again")
    rows = (dict(zip(header, cells, strict=False)) for _, cells in found if cells)
    return [Line(cell_text(row.get("text", "")), cell_text(row.get("speaker", "")) or None) for row in rows]


def _labels(path: Path) -> list[Line]:
    # A line that begins with a backslash has the frequencies of the label above.
    rows = (line.split("\t", 2) for line in _text(path).splitlines() if re.match(r"[^\\]*\t.*\t", line))
    return [Line(_plain(text)) for _, _, text in rows]


def _said(path: Path) -> list[Line]:
    found = references.READERS[f".{format_of(path)}"](path, undirected(_text(path)))
    if len(found) != 1:
        raise UserError("holds several sessions", where=path, hint="Correct one session at a time")
    lines = []
    for part in found[0].utterances or ():
        if part.words:
            lines += [Line(word.text, word.speaker) for word in part.words]
        else:
            lines.append(Line(part.text, part.speaker))
    return lines


LABELLED = {"srt", "vtt", "ass", "txt", "maxqda", "md", "docx", "aud"}
READERS: dict[str, Callable[[Path], list[Line]]] = {
    "srt": _subtitles,
    "ass": _subtitles,
    "vtt": _said,
    "txt": _text_lines,
    "maxqda": _maxqda,
    "md": _markdown,
    "docx": _docx,
    "tsv": _table,
    "csv": _table,
    "stm": _said,
    "json": _said,
    "aud": _labels,
}
FORMAT_OF = {f".{ending(kind)}": kind for kind in READERS} | {".seglst": "json"}
"""Formats by file extension; the longest that matches counts."""
