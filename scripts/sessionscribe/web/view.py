"""What the page of a session shows: paragraphs of numbered words, and what is worth a look, by time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter

from sessionscribe.artifacts.audit import Audit
from sessionscribe.artifacts.transcript import Correction, SpokenWord, Transcript
from sessionscribe.core.text import is_right_to_left, one_line
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.formats.colours import on_dark, on_light
from sessionscribe.formats.page import UNSURE_BELOW
from sessionscribe.formats.reading import numbered, paragraphs


@dataclass(frozen=True)
class ShownWord:
    """A word with its number among all words of the transcript, from 0."""

    number: int
    text: str
    space: bool
    start: float
    marks: str
    title: str


@dataclass(frozen=True)
class ShownParagraph:
    """What somebody says; ``who`` is the speaker's number, ``first`` and ``last`` are those of its words."""

    start: float
    speaker: str
    who: int | None
    direction: str
    words: tuple[ShownWord, ...]
    first: int
    last: int


@dataclass(frozen=True)
class View:
    """The paragraphs and the speakers, with a colour for each on light and on dark ground."""

    paragraphs: tuple[ShownParagraph, ...]
    speakers: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Flag:
    """A moment that is worth a look."""

    start: float
    kind: str
    text: str


def view(transcript: Transcript) -> View:
    """Return what there is to show of a transcript."""
    order = {id(word): n for n, word in enumerate(w for s in transcript.segments for w in s.words)}
    who = numbered(transcript)
    found = []
    for part in paragraphs(transcript):
        words = tuple(_word(word, order[id(word)]) for word in part.words)
        if words:
            way = "rtl" if is_right_to_left(part.text) else "ltr"
            number = who.get(part.speaker or "")
            ends = min(word.number for word in words), max(word.number for word in words)
            found.append(ShownParagraph(part.start, part.speaker or "", number, way, words, *ends))
    colours = ((name, _hex(on_light(n)), _hex(on_dark(n))) for name, n in who.items())
    return View(tuple(found), tuple(colours))


def _word(word: SpokenWord, number: int) -> ShownWord:
    marks = {
        "unsure": f"unsure: {word.probability:.2f}" if word.probability < UNSURE_BELOW else "",
        "twofold": f"{one_line(word.second_speaker)} speaks, too" if word.second_speaker else "",
        "corrected": "corrected" if word.corrected else "",
    }
    named = {mark: title for mark, title in marks.items() if title}
    return ShownWord(
        number, one_line(word.text), word.space, word.start, " ".join(named), "; ".join(named.values())
    )


def _hex(colour: tuple[int, int, int]) -> str:
    return f"#{bytes(colour).hex()}"


def flags_of(transcript: Transcript, audit: Audit | None, corrections: Iterable[Correction]) -> list[Flag]:
    """Return what is worth a look, in the order of time."""
    found = [*(_audited(audit) if audit else ()), *_missing(transcript)]
    for one in corrections:
        if one.state == "open":
            found.append(Flag(one.start or 0.0, "correction without a place", f"{one.was} → {one.now}"))
    return sorted(found, key=attrgetter("start"))


def _audited(audit: Audit) -> Iterator[Flag]:
    for unsure in audit.unsure:
        yield Flag(unsure.start, "low confidence", unsure.text)
    for gap in audit.gaps:
        yield Flag(gap.start, "speech without a word", f"{gap.speech_s:.1f} s")
    for faint in audit.faint:
        yield Flag(faint.start, "faint speech", f"{faint.end - faint.start:.1f} s")
    for repeat in audit.repeats:
        yield Flag(repeat.start, "repeated words", f"{repeat.text} ×{repeat.times}")
    for removed in audit.removed:
        yield Flag(removed.start, "removed", f"{removed.text} ({removed.reason})")


def _missing(transcript: Transcript) -> Iterator[Flag]:
    for gap in transcript.gaps:
        yield Flag(gap.start / SAMPLE_RATE, "missing audio", gap.reason)
