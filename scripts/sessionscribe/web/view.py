"""Changes of a session's page, and its list of moments worth a look."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from sessionscribe.artifacts.audit import Audit
from sessionscribe.artifacts.transcript import Correction, Transcript
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.formats.page import ShownParagraph


@dataclass(frozen=True)
class Splice:
    """The difference between two versions of a page's paragraphs.

    ``new`` replaces ``[start, stop)``; ``shift`` is added to the numbers of the words after it.
    """

    start: int
    stop: int
    new: Sequence[ShownParagraph]
    shift: int


def splice(old: Sequence[ShownParagraph], new: Sequence[ShownParagraph]) -> Splice:
    """Return the difference between two lists of paragraphs."""
    most = min(len(old), len(new))
    start = next((n for n in range(most) if old[n] != new[n]), most)
    shift = new[-1].last - old[-1].last if most else 0
    same = 0
    while same < most - start and _shifted(old[-1 - same], shift) == new[-1 - same]:
        same += 1
    return Splice(start, len(old) - same, new[start : len(new) - same], shift)


def _shifted(part: ShownParagraph, shift: int) -> ShownParagraph:
    """Return a paragraph with ``shift`` added to its words' numbers."""
    if not shift:
        return part
    words = tuple(replace(word, number=word.number + shift) for word in part.words)
    return replace(part, words=words)


@dataclass(frozen=True)
class Flag:
    """A moment worth a look."""

    start: float
    kind: str
    text: str


def flags_of(transcript: Transcript, audit: Audit | None, corrections: Iterable[Correction]) -> list[Flag]:
    """Return the moments worth a look, in order of time."""
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
    for repeat in audit.repeats:
        yield Flag(repeat.start, "repeated words", f"{repeat.text} ×{repeat.times}")
    for removed in audit.removed:
        yield Flag(removed.start, "removed", f"{removed.text} ({removed.reason})")


def _missing(transcript: Transcript) -> Iterator[Flag]:
    for gap in transcript.gaps:
        yield Flag(gap.start / SAMPLE_RATE, "missing audio", gap.reason)
