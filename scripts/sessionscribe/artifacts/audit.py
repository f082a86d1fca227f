"""What an audit found about a session. Times are seconds of the session; positions of gaps are samples."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sessionscribe.artifacts.base import Artifact, Part, Seconds, older
from sessionscribe.artifacts.chunk_transcript import LanguageVote
from sessionscribe.artifacts.plan import Gap

Verdict = Literal["complete", "complete with flags", "incomplete"]


class TrackAudit(Part):
    """Whether a track's chunks tile it and are all there, and how much of its speech has words."""

    track: str
    duration_s: Seconds
    tiled: bool
    """Whether its chunks contain every sample exactly once."""
    chunks: int
    """Chunk transcripts that exist."""
    planned: int
    """Chunks of the plan."""
    speech_s: Seconds
    """Speech according to the plan."""
    covered_s: Seconds
    """Speech that is in none of the `gaps`."""


class StrayWord(Part):
    """A word that the stages do not agree on."""

    track: str
    chunk: int | None
    """Null if it is not known."""
    text: str
    start: Seconds
    reason: str
    """What is wrong."""


class WordAudit(Part):
    """What became of the words of the chunk transcripts, counted independently."""

    heard: int
    """Words in chunk transcripts."""
    kept: int
    """Words in the transcript."""
    lost: int
    """Words in chunk transcripts that are not in the transcript."""
    unknown: int
    """Words in the transcript that are in no chunk transcript."""
    moved: int
    """Words more than 0.5 s from where their chunk transcript has them."""
    strays: list[StrayWord]
    """The first 50 of the last three kinds."""

    _older = older("dropped", "alone")  # of chunks that decoded the same audio


class Place(Part):
    """A stretch of a track."""

    track: str
    start: Seconds
    end: Seconds


class SpeechGap(Place):
    """Speech without a word, not even a removed one; it may contain pauses."""

    speech_s: Seconds
    """How much of it is speech."""
    decoded_again: bool
    """Whether a part of it was decoded twice."""


class Repeat(Place):
    """Words that are repeated."""

    text: str
    """What is repeated."""
    times: int
    """How often it is there."""

    _older = older("at_seam")  # whether on both sides of a chunk boundary


class LowConfidence(Place):
    """Consecutive words of low probability."""

    words: int
    """How many."""
    probability: float
    """Their mean probability."""
    text: str
    """Their text."""


class LanguageSpan(Place):
    """Consecutive segments that were decoded in one language."""

    language: str
    """The language."""
    chunks: int
    """How many chunks they are from."""


class LanguageAudit(Part):
    """The language of a session: how it was found, and what was decoded in which."""

    language: str
    """As in `Language`, like the next three."""
    probability: float
    given: bool
    votes: list[LanguageVote]
    spans: list[LanguageSpan]
    """The language of each stretch."""


class SpeakerShare(Part):
    """How much a speaker says."""

    speaker: str
    """Label or name."""
    speech_s: Seconds
    """How long this speaker talks."""
    share: float
    """Share of everybody's talk time."""
    words: int
    """How many."""
    phantom: bool
    """Whether that is less than `audit.min_speaker_share`: perhaps not a person."""


class RemovedText(Place):
    """Text that a hallucination filter removed."""

    text: str
    """What was removed."""
    reason: str
    """Why."""


class FallbackReport(Place):
    """A stretch that was decoded twice."""

    reason: str
    """As in `FallbackSpan`, like `winner` and `words`."""
    winner: str
    words: int
    """How many."""
    lost: str
    """Text of the other version."""


class Audit(Artifact):
    """Whether a transcript is complete. ``results/audit/{session}.json``."""

    VERSION: ClassVar[int] = 2
    OLDER: ClassVar[frozenset[int]] = frozenset({1})
    schema_version: int = 2
    session: str
    duration_s: Seconds
    verdict: Verdict
    """`complete`; `complete with flags`; `incomplete`: something is missing, or stages disagree."""
    problems: list[str]
    """Why it is incomplete, in plain words."""
    flags: list[str]
    """What deserves a second look, in plain words."""
    tracks: list[TrackAudit]
    """Tiling, chunks and speech of each track."""
    words: WordAudit
    """What became of the words of the chunk transcripts."""
    missing: list[Gap]
    """Audio that is missing."""
    gaps: list[SpeechGap]
    """Speech without a word for more than `audit.gap_s`."""
    repeats: list[Repeat]
    """The same words over and over."""
    unsure: list[LowConfidence]
    """Stretches of low probability."""
    language: LanguageAudit
    """The votes for a language, and what was decoded in which."""
    speakers: list[SpeakerShare]
    """By label."""
    removed: list[RemovedText]
    """What hallucination filters removed."""
    redecoded: list[FallbackReport]
    """What was decoded twice, and which version is in the transcript."""
    unused_prompt: list[str] = Field(default=[])
    """Hotwords for which the model has no room."""

    _older = older("dropped", "faint")  # faint speech was not decoded
