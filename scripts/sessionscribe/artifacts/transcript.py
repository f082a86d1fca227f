"""The transcript of a session, and the state of its corrections."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field

from sessionscribe.artifacts.base import Artifact, Part, Seconds, SessionArtifact
from sessionscribe.artifacts.chunk_transcript import Engine, Word
from sessionscribe.artifacts.plan import Gap
from sessionscribe.artifacts.speakers import Turn
from sessionscribe.core.text import join_words
from sessionscribe.core.units import milliseconds


class SpokenWord(Word):
    """A word with its speaker."""

    second_speaker: str | None = None
    """Another speaker who talks during at least half of it."""
    corrected: bool = Field(default=False, exclude_if=lambda value: not value)
    """Whether a person changed its text (then its probability is 1) or speaker; omitted if not."""


class SpokenSegment(Part):
    """Consecutive words of one speaker."""

    start: Seconds
    end: Seconds
    speaker: str | None
    """The label or name; null if unknown."""
    text: str
    words: list[SpokenWord]

    @classmethod
    def of(cls, words: list[SpokenWord]) -> Self:
        """Return the segment of these words, which have the same speaker."""
        start, end = min(word.start for word in words), max(word.end for word in words)
        return cls(start=start, end=end, speaker=words[0].speaker, text=join_words(words), words=words)


class Made(Part):
    """The recordings, models, settings and versions that determined a transcript."""

    sources: dict[str, str]
    """The checksum of each track's recording."""
    models: dict[str, str]
    """The speech model and the diarization pipeline, with their identities."""
    settings: dict[str, dict[str, object]]
    versions: dict[str, str]


class Transcript(SessionArtifact):
    """A transcript: with labels ``results/diarize/{session}.json``; with names and corrections
    ``results/correct/{session}.json`` and the export ``json``.
    """

    schema_version: int = 2
    duration_s: Seconds
    language: str
    speakers: list[str]
    """The speakers in the order of their first appearance."""
    segments: list[SpokenSegment]
    """Consecutive words of one speaker each."""
    turns: list[Turn]
    """Who speaks when; turns may overlap."""
    gaps: list[Gap]
    flags: list[str]
    engines: list[Engine]
    diarization: str
    made: Made | None = None

    def talk_time_ms(self) -> dict[str, int]:
        """Return for how long each speaker talks, in milliseconds; simultaneous speech counts for each."""
        times = dict.fromkeys(self.speakers, 0)
        for turn in self.turns:
            duration = milliseconds(turn.end) - milliseconds(turn.start)
            times[turn.speaker] = times.get(turn.speaker, 0) + duration
        return times


class Correction(Part):
    """A row of the corrections file and its state."""

    line: int
    """Its line in the file."""
    edit: Literal["words", "speaker", "name"]
    """`words`, `speaker` or `name`."""
    start: Seconds | None
    """As in the file, like the following eight fields."""
    end: Seconds | None
    speaker: str
    was: str
    now: str
    before: str
    after: str
    note: str
    author: str
    date: str
    state: Literal["applied", "fulfilled", "open"]
    """`applied`, `fulfilled` (the transcript is right without it) or `open` (it has no place)."""
    places: int
    """How often it was applied."""
    reason: str | None = None
    """Why it is open."""


class Corrections(Artifact):
    """The states of a session's corrections. ``results/correct/{session}.corrections.json``."""

    session: str
    corrections: list[Correction]
    """The rows of the file."""
