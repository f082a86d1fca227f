"""The transcript as a web page in one file, to read, search and listen to offline.

A content security policy only allows the page's own script and style, and audio: a file beside the page (or
at the place in the settings), or one that the reader opens. Without JavaScript, the page can still be read.
``sessionscribe serve`` shares templates, style and player.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from sessionscribe.artifacts.audit import RemovedText
from sessionscribe.artifacts.plan import Waveform
from sessionscribe.artifacts.transcript import SpokenWord, Transcript
from sessionscribe.config.settings import OFF, Export
from sessionscribe.core.text import is_right_to_left, one_line
from sessionscribe.core.units import clock
from sessionscribe.formats import pictures
from sessionscribe.formats.colours import on_dark, on_light
from sessionscribe.formats.reading import PICTURES, numbered, paragraphs, shares, summary

if TYPE_CHECKING:
    from jinja2 import Environment

PLAYER = Path(__file__).with_name("player")
BESIDE = ("m4a", "mp3", "opus", "ogg", "flac", "wav", "mp4", "webm")  # tried in the page's folder, in order
UNSURE_BELOW = 0.4  # words with a lower probability are marked
LEGEND = {
    "unsure": "dotted line: unsure",
    "twofold": "double line: somebody else speaks, too",
    "removed": "struck out: not in the transcript",
}


@dataclass(frozen=True)
class ShownWord:
    """A word, with its number in the transcript, from 0, and its CSS classes (``marks``)."""

    number: int
    text: str
    space: bool
    start: float
    end: float
    marks: str
    title: str


@dataclass(frozen=True)
class ShownParagraph:
    """A paragraph of a speaker, whose number is ``who``."""

    start: float
    end: float
    speaker: str
    who: int | None
    text: str
    words: tuple[ShownWord, ...]

    @property
    def first(self) -> int:
        """The number of its first word."""
        return self.words[0].number

    @property
    def last(self) -> int:
        """The number of its last word."""
        return self.words[-1].number


@dataclass(frozen=True)
class View:
    """The content of a page: its paragraphs and removed texts by time, and CSS for the speakers' colours."""

    paragraphs: list[ShownParagraph | RemovedText]
    style: str


def html(
    transcript: Transcript,
    options: Export,
    removed: Sequence[RemovedText] = (),
    waveform: Waveform | None = None,
) -> str:
    """Return a page with speakers in colours, times, search, a waveform, and audio that plays from any word.

    Text that was ``removed`` from the transcript is shown in grey at its place, with the reason.
    """
    program = _read("player.js") + _read("page.js")
    found = view(transcript, removed)
    style = f"{_read('player.css')}{_read('page.css')}{found.style}"
    words = (word for part in transcript.segments for word in part.words)
    marks = {"removed"} if removed else set()
    marks.update(mark for word in words for mark in _marks(word))
    page = (
        environment()
        .get_template("page.html")
        .render(
            transcript=transcript,
            policy=f"default-src 'none'; style-src '{_sha256(style)}'; script-src '{_sha256(program)}'; "
            "img-src data:; media-src * blob: file: data:",
            title=one_line(transcript.session),
            style=style,
            program=program,
            summary=summary(transcript),
            shares=shares(transcript),
            legend=[line for mark, line in LEGEND.items() if mark in marks],
            removed=removed,
            view=found,
            read_only=True,
            peaks=base64.b64encode(bytes(waveform.peaks)).decode() if waveform else "",
            picture=base64.b64encode(pictures.svg(transcript, options).encode()).decode(),
            alt=PICTURES,
            made_by=_made_by(transcript),
            sources=_sources(transcript, options),
        )
    )
    return f"{page}\n"


def environment(*folders: Path) -> "Environment":
    """Return a Jinja environment for the player's templates and those in other folders."""
    from jinja2 import Environment, FileSystemLoader  # noqa: PLC0415

    pages = Environment(
        loader=FileSystemLoader([*folders, PLAYER]), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    pages.filters |= {"clock": clock, "line": one_line, "direction": _direction}
    return pages


def view(transcript: Transcript, removed: Sequence[RemovedText] = ()) -> View:
    """Return the content of a page; a paragraph is divided where text was ``removed`` between its words."""
    order = {id(word): n for n, word in enumerate(w for s in transcript.segments for w in s.words)}
    who = numbered(transcript)
    found: list[ShownParagraph | RemovedText] = []
    for part in paragraphs(transcript):
        if words := tuple(_word(word, order[id(word)]) for word in part.words):
            speaker = part.speaker or ""
            whole = ShownParagraph(part.start, part.end, speaker, who.get(speaker), part.text, words)
            found += _divided(whole, removed)
    found += removed
    return View(sorted(found, key=attrgetter("start")), _speakers_style(len(who)))


def _word(word: SpokenWord, number: int) -> ShownWord:
    marks = _marks(word)
    classes, title = " ".join(marks), "; ".join(marks.values())
    return ShownWord(number, one_line(word.text), word.space, word.start, word.end, classes, title)


def _marks(word: SpokenWord) -> dict[str, str]:
    """Return the CSS classes of a word, with a description of each."""
    marks = {
        "unsure": f"unsure: {word.probability:.2f}" if word.probability < UNSURE_BELOW else "",
        "twofold": f"{one_line(word.second_speaker)} speaks, too" if word.second_speaker else "",
        "corrected": "corrected" if word.corrected else "",
    }
    return {mark: title for mark, title in marks.items() if title}


def _direction(text: str) -> str:
    # Not `auto`, which uses the first letter: a Hebrew sentence may begin with a Latin name.
    return "rtl" if is_right_to_left(text) else "ltr"


def _speakers_style(count: int) -> str:
    colours = ((n, bytes(on_light(n)).hex(), bytes(on_dark(n)).hex()) for n in range(count))
    return "".join(f".s{n} {{ --speaker: light-dark(#{light}, #{dark}); }}\n" for n, light, dark in colours)


def _divided(whole: ShownParagraph, removed: Sequence[RemovedText]) -> Iterator[ShownParagraph]:
    inside = [gone for gone in removed if whole.start < gone.start < whole.end]
    cuts = [
        number
        for number, (before, word) in enumerate(pairwise(whole.words), start=1)
        if any(before.end <= gone.start and gone.end <= word.start for gone in inside)
    ]
    if not cuts:
        yield whole
        return
    for first, stop in pairwise([0, *cuts, len(whole.words)]):
        words = whole.words[first:stop]
        yield replace(whole, start=words[0].start, end=words[-1].end, words=words)


def _read(name: str) -> str:
    return (PLAYER / name).read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _made_by(transcript: Transcript) -> str:
    engines = [f"{engine.name} {engine.version}, {engine.model}" for engine in transcript.engines]
    speakers = [] if transcript.diarization == OFF else [transcript.diarization]
    return one_line(" · ".join([*dict.fromkeys(engines), *speakers]))


def _sources(transcript: Transcript, options: Export) -> list[str]:
    """Return possible URLs of the audio: files beside the page, then the converted recording if it is one."""
    name = quote(transcript.session)
    if options.audio:
        return [options.audio.replace("{session}", name)]
    tracks = list(transcript.made.sources) if transcript.made else []
    converted = [f"../../convert/{name}/{quote(track)}.flac" for track in tracks]
    return [*(f"{name}.{kind}" for kind in BESIDE), *(converted if len(converted) == 1 else ())]
