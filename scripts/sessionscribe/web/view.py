"""What of a session is worth a look, by time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter

from sessionscribe.artifacts.audit import Audit
from sessionscribe.artifacts.transcript import Correction, Transcript
from sessionscribe.core.units import SAMPLE_RATE


@dataclass(frozen=True)
class Flag:
    """A moment that is worth a look."""

    start: float
    kind: str
    text: str


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
