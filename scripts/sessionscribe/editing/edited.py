"""Read an edited copy of an export: its words and speakers, in the order of the file.

Times in the copy are ignored. Text without a speaker leaves the speaker unchanged.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sessionscribe.core import tables
from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.text import one_line, undirected
from sessionscribe.core.tokens import alike, atoms, shown
from sessionscribe.formats import references
from sessionscribe.formats.captions import STYLE_IN_SRT, in_ass, in_srt
from sessionscribe.formats.reading import maxqda_lines, maxqda_name
from sessionscribe.formats.registry import ending
from sessionscribe.formats.scoring import NOBODY, field
from sessionscribe.formats.tables import cell_text

COLONS = (":", "：")
"""What ends a speaker's label; the second one is used in Chinese and Japanese."""
# MAXQDA does not accept longer names. French has a space before the colon.
_LABEL = re.compile(r"([^\s:：](?:[^:：\n]{0,61}[^\s:：])?)\s*(?::(?:\s+|$)|：\s*)")
_CLOCK = re.compile(r"[\[(]?(?:\d{1,3}:)?\d{1,2}:\d{2}(?:[.,]\d+)?[\])]?(?=\s|$)")
_STYLE_IN_ASS = re.compile(r"\{[^}]*\}")
_SUMMARY = re.compile(r"[\d:]+ · [\w-]+( · \d+ speakers?)?")
# What formats that require a speaker write if there is none.
_NOBODY_IN = {"maxqda": "?", "stm": NOBODY, "json": NOBODY}
_ENDS = "Worth a look"  # the heading above an export's list of flags


@dataclass(frozen=True)
class Line:
    """A cue, a paragraph or a row; ``speaker`` as it is written."""

    text: str
    speaker: str | None = None


@dataclass(frozen=True)
class EditToken:
    """A token of the edited file; ``line`` is the number of its `Line`."""

    text: str
    speaker: str | None
    line: int


def format_of(path: Path) -> str:
    """Return the format of a file, by its name.

    Raises:
        UserError: this format cannot be read.
    """
    name = path.name.lower()
    endings = [known for known in FORMAT_OF if name.endswith(known)]
    if not endings:
        known = " ".join(sorted(known for known in FORMAT_OF if known.count(".") == 1))
        raise UserError("is not a format that can be read back", where=path, hint=f"Edit one of: {known}")
    return FORMAT_OF[max(endings, key=len)]


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
    try:
        return READERS[kind](path)
    except UnicodeDecodeError as error:
        hint = "Save it as UTF-8"
        raise UserError(f"is not UTF-8 text (byte {error.start})", where=path, hint=hint) from error
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", where=path, hint="Check the file") from error


def _spellings(speakers: Iterable[str]) -> dict[str, str | None]:
    """Return the speakers by all spellings that exports use."""
    found: dict[str, str | None] = {"?": None, NOBODY: None}
    for name in speakers:
        line = one_line(name)
        qda = maxqda_name(line).replace("＃", "#")
        written = (line, field(name), qda, in_srt(line), in_ass(line))
        found.update(dict.fromkeys((*written, *map(undirected, written)), name))
    return found | {"": None}


def _labelled(
    lines: Sequence[Line], speakers: Collection[str], words: Collection[str], original: Sequence[Line]
) -> list[Line]:
    """Return lines with the speaker's label, if there is one, moved out of their text.

    A known speaker is always a label. Other text before a colon, unless it ends in a word of the transcript
    (``Note: it rains`` may be a sentence), is a label if most lines have known labels, if it opens several
    lines, or if the original has a label there.
    """
    known = sorted(filter(None, _spellings(speakers)), key=len, reverse=True)
    matches = [_LABEL.match(line.text) for line in lines]
    often = Counter(match[1] for match in matches if match)
    names = [_known_label(line, known) for line in lines]
    most = 2 * sum(name is not None for name in names) >= len(lines)
    labelled = [_known_label(line, known) is not None for line in original]
    spoken = {alike(shown(atom)) for text in words for atom in atoms(text)}

    def is_expected(number: int, label: str) -> bool:
        if not any(labelled):
            return alike(shown(atoms(label)[-1])) not in spoken
        return labelled[number] if len(lines) == len(labelled) else 2 * sum(labelled) >= len(labelled)

    found = []
    for number, (line, match, name) in enumerate(zip(lines, matches, names, strict=True)):
        if name is not None:
            found.append(Line(line.text[len(name) :].lstrip()[1:], name))
        elif (
            match
            and f"{match[1]}:".split()[-1] not in words
            and (most or often[match[1]] > 1 or is_expected(number, match[1]))
        ):
            found.append(Line(line.text[match.end() :], match[1]))
        else:
            found.append(line)
    return found


def _known_label(line: Line, known: Iterable[str]) -> str | None:
    """Return the first known speaker whose label begins a line."""
    text = line.text
    return next((n for n in known if text.startswith(n) and text[len(n) :].lstrip()[:1] in COLONS), None)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig")


def _subtitles(path: Path) -> list[Line]:
    import pysubs2  # noqa: PLC0415

    kind, text = path.suffix.lower().lstrip("."), _text(path)
    try:
        events = pysubs2.SSAFile.from_string(text, format_=kind)
    except (pysubs2.Pysubs2Error, ValueError, LookupError) as error:
        what = f"is not a valid {kind} ({visible(str(error))})"
        raise UserError(what, where=path, hint="Export it again") from error
    style = STYLE_IN_SRT if kind == "srt" else _STYLE_IN_ASS
    texts = (style.sub("", event.text) for event in events if not event.is_comment)
    return [Line(_plain(re.sub(r"\\[Nn]", " ", text))) for text in texts]


def _plain(text: str) -> str:
    return one_line(undirected(text))


def _text_lines(path: Path) -> list[Line]:
    found = (_plain(line) for line in _text(path).splitlines())
    return [
        Line(_CLOCK.sub("", line, count=1).strip() if _CLOCK.match(line) else line) for line in found if line
    ]


def _maxqda(path: Path) -> list[Line]:
    return [Line(_plain(line)) for line in maxqda_lines(undirected(_text(path)))]


def _markdown(path: Path) -> list[Line]:
    blocks = (_plain(block) for block in re.split(r"\n\s*\n", _text(path)))
    plain = [re.sub(r"\\([\\`*_\[\]<>&|~$])", r"\1", re.sub(r"(?<!\\)\*\*", "", block)) for block in blocks]
    return list(_paragraphs(plain, heading=lambda text: text.startswith("#")))


def _docx(path: Path) -> list[Line]:
    import docx  # noqa: PLC0415

    data = io.BytesIO(path.read_bytes())
    try:
        found = [(_plain(p.text), str(p.style and p.style.name)) for p in docx.Document(data).paragraphs]
    except Exception as error:  # whichever of zipfile, zlib, struct, lxml and python-docx notices the damage
        raise UserError("is not a Word document, or damaged", where=path, hint="Save it as .docx") from error
    headings = {text for text, style in found if style.startswith("Heading")}
    return list(_paragraphs([text for text, _ in found], heading=headings.__contains__))


def _paragraphs(texts: Iterable[str], heading: Callable[[str], bool]) -> Iterator[Line]:
    """Yield the transcript's paragraphs: from the first one with a time to the list of flags."""
    begun = False
    for text in texts:
        if begun and heading(text) and text.lstrip("# ") == _ENDS:
            return
        begun = begun or (_CLOCK.match(text) is not None and not _SUMMARY.fullmatch(text))
        if begun and text and not heading(text):
            yield Line(_CLOCK.sub("", text, count=1).strip() if _CLOCK.match(text) else text)


def _table(path: Path) -> list[Line]:
    found = tables.rows(_text(path), path, "excel-tab" if path.suffix.lower() == ".tsv" else "excel")
    _, header = next(found, (1, []))
    if "text" not in header:
        there = visible(", ".join(header) or "nothing")
        raise UserError(f"has no column `text` (there is {there})", where=path, hint="Export it again")
    rows = (dict(zip(header, cells, strict=False)) for _, cells in found if cells)
    return [Line(cell_text(row.get("text", "")), cell_text(row.get("speaker", "")) or None) for row in rows]


def _labels(path: Path) -> list[Line]:
    rows = (line.split("\t", 2) for line in _text(path).splitlines() if line.count("\t") > 1)
    return [Line(_plain(text)) for _, _, text in rows]


def _said(path: Path) -> list[Line]:
    found = references.read_file(path)
    if len(found) != 1:
        raise UserError("holds several sessions", where=path, hint="Correct one session at a time")
    lines = []
    for part in found[0].utterances or ():
        if part.words:
            lines += [Line(word.text, word.speaker) for word in part.words]
        else:
            lines.append(Line(part.text, part.speaker))
    return lines


LABELLED = {"srt", "ass", "txt", "maxqda", "md", "docx", "aud"}
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
