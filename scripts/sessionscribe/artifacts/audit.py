"""The audit of a session. Times are in seconds of the session, positions of missing audio in samples."""

from __future__ import annotations

from typing import Literal

from sessionscribe.artifacts.base import Artifact, Part, Seconds, older
from sessionscribe.artifacts.chunk_transcript import LanguageVote
from sessionscribe.artifacts.plan import Gap

Verdict = Literal["complete", "complete with flags", "incomplete"]


class TrackAudit(Part):
    """The completeness of a track."""

    track: str
    duration_s: Seconds
    tiled: bool
    """Whether its chunks contain every sample exactly once."""
    chunks: int
    """The number of chunk transcripts."""
    planned: int
    """The number of chunks in the plan."""
    speech_s: Seconds
    """The length of speech in the plan."""
    covered_s: Seconds
    """The length of speech outside `gaps`."""


class StrayWord(Part):
    """A word on which stages disagree."""

    track: str
    chunk: int | None
    """The number of its chunk; null if unknown."""
    text: str
    start: Seconds
    reason: str
    """What is wrong."""


class WordAudit(Part):
    """An independent comparison of the chunk transcripts with the transcript."""

    heard: int
    """The number of words in chunk transcripts."""
    kept: int
    """The number of words in the transcript."""
    lost: int
    """The number of words in chunk transcripts only."""
    unknown: int
    """The number of words in the transcript only."""
    moved: int
    """The number of words whose times differ by more than 0.5 s."""
    strays: list[StrayWord]
    """The first 50 of the last three kinds."""

    _older = older("dropped", "alone")


class Place(Part):
    """A span of time of a track."""

    track: str
    start: Seconds
    end: Seconds


class SpeechGap(Place):
    """Speech without words, possibly with pauses in it."""

    speech_s: Seconds
    """The length of speech in it."""
    decoded_again: bool
    """Whether some of it was decoded twice."""


class Repeat(Place):
    """A phrase that follows itself many times."""

    text: str
    """The phrase."""
    times: int
    """The number of times it occurs."""

    _older = older("at_seam")


class LowConfidence(Place):
    """Consecutive words of low probability."""

    words: int
    probability: float
    """Their mean probability."""
    text: str


class LanguageSpan(Place):
    """Consecutive segments that were decoded in one language."""

    language: str
    """The language."""
    chunks: int


class LanguageAudit(Part):
    """The language of a session, how it was found, and the languages that were decoded."""

    language: str
    """As in `Language`, like the following three fields."""
    probability: float
    given: bool
    votes: list[LanguageVote]
    spans: list[LanguageSpan]
    """The languages that were decoded, in the order of time."""


class SpeakerShare(Part):
    """The talk time of a speaker."""

    speaker: str
    speech_s: Seconds
    """How long the speaker talks."""
    share: float
    """The share of the total talk time."""
    words: int
    phantom: bool
    """Whether the share is less than `audit.min_speaker_share`, so that this may not be a person."""


class RemovedText(Place):
    """Text that the engine or a hallucination filter removed."""

    text: str
    reason: str
    """Why it was removed."""


class FallbackReport(Place):
    """Speech that was decoded twice."""

    reason: str
    """As in `FallbackSpan`, like `winner` and `words`."""
    winner: str
    words: int
    lost: str
    """The text of the other version."""


class Audit(Artifact):
    """The audit of a transcript. ``results/audit/{session}.json``."""

    schema_version: int = 2
    session: str
    duration_s: Seconds
    verdict: Verdict
    """`complete`, `complete with flags`, or `incomplete` if something is missing or stages disagree."""
    problems: list[str]
    """Why it is incomplete."""
    flags: list[str]
    """What deserves a second look."""
    tracks: list[TrackAudit]
    """The completeness of each track."""
    words: WordAudit
    """The comparison of the chunk transcripts with the transcript."""
    missing: list[Gap]
    gaps: list[SpeechGap]
    """Speech of more than `audit.gap_s` seconds without words."""
    repeats: list[Repeat]
    """Phrases that follow themselves many times."""
    unsure: list[LowConfidence]
    """Passages of low probability."""
    language: LanguageAudit
    """The language of the session."""
    speakers: list[SpeakerShare]
    """The talk time of each speaker."""
    removed: list[RemovedText]
    redecoded: list[FallbackReport]
    unused_prompt: list[str] = []

    _older = older("dropped", "faint")

    @property
    def covered(self) -> float | None:
        """The share of the speech that has words; None without speech."""
        speech = sum(track.speech_s for track in self.tracks)
        return sum(track.covered_s for track in self.tracks) / speech if speech else None
