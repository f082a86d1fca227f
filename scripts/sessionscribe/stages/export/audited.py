"""The audit as lines for the end of documents."""

from collections.abc import Iterable, Sequence

from sessionscribe.artifacts.audit import Audit
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.core.text import counted
from sessionscribe.core.units import clock

MOST = 20
"""Lines of each kind; the file of the audit has all."""


def audited(transcript: Transcript, audit: Audit) -> Transcript:
    """Return the transcript with the audit's lines in front of its own flags, without duplicates."""
    lines = [*_summary(audit), *audit.problems, *audit.flags, *transcript.flags, *_places(audit)]
    return transcript.model_copy(update={"flags": list(dict.fromkeys(lines))})


def _summary(audit: Audit) -> list[str]:
    words, speech = audit.words, sum(track.speech_s for track in audit.tracks)
    covered = sum(track.covered_s for track in audit.tracks)
    chunks, planned = (sum(getattr(track, name) for track in audit.tracks) for name in ("chunks", "planned"))
    found = [
        f"Audit: {audit.verdict}",
        f"{chunks} of {counted(planned, 'chunk')} and {words.heard - words.lost} of "
        f"{counted(words.heard, 'word')} are in the transcript",
    ]
    if speech:
        found.append(f"{covered / speech:.1%} of {clock(speech)} of speech has words")
    return found


def _places(audit: Audit) -> list[str]:
    """Return the passages that deserve a second look."""
    return [
        *_some(
            f"{clock(gap.start)} to {clock(gap.end)}: {gap.speech_s:.1f} s of speech without a word"
            for gap in audit.gaps
        ),
        *_some(f"{clock(part.start)} removed: “{part.text}” ({part.reason})" for part in audit.removed),
        *_some(
            f"{clock(part.start)} to {clock(part.end)} decoded again ({part.reason}): the {part.winner} "
            f"version was kept, {counted(part.words, 'word')}"
            for part in audit.redecoded
        ),
    ]


def _some(lines: Iterable[str]) -> Sequence[str]:
    every = list(lines)
    more = [f"… and {len(every) - MOST} more of these"] if len(every) > MOST else []
    return [*every[:MOST], *more]
