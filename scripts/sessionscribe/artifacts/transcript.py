"""The whole transcript, and what became of corrections to it."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

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
    """Who talks over at least half of it."""
    corrected: bool = Field(default=False, exclude_if=lambda value: not value)
    """Whether a person changed its text (the probability is then 1) or speaker; left out if not."""


class SpokenSegment(Part):
    """What one speaker says without a break."""

    start: Seconds
    end: Seconds
    speaker: str | None
    """Label or name; null if nobody is known."""
    text: str
    """The words, joined."""
    words: list[SpokenWord]

    @classmethod
    def of(cls, words: list[SpokenWord]) -> Self:
        """Return the segment that has these words, which are one speaker's."""
        start, end = min(word.start for word in words), max(word.end for word in words)
        return cls(start=start, end=end, speaker=words[0].speaker, text=join_words(words), words=words)


class Made(Part):
    """What a transcript was made of and with: enough to say why two differ."""

    sources: dict[str, str]
    """Checksum of each track's recording."""
    models: dict[str, str]
    """The speech model and the diarization pipeline, with what identifies them."""
    settings: dict[str, dict[str, object]]
    """Settings of all jobs, by stage."""
    versions: dict[str, str]
    """Of packages, and of our code with a checksum of its files."""


class Transcript(SessionArtifact):
    """A whole transcript: ``results/diarize/{session}.json``, with labels of speakers; with names and
    corrections, ``results/correct/{session}.json`` and the export ``json``.
    """

    VERSION: ClassVar[int] = 2
    OLDER: ClassVar[frozenset[int]] = frozenset({1})
    schema_version: int = 2
    duration_s: Seconds
    language: str
    speakers: list[str]
    """By first appearance."""
    segments: list[SpokenSegment]
    """What one speaker says without a break."""
    turns: list[Turn]
    """Overlaps included."""
    gaps: list[Gap]
    flags: list[str]
    engines: list[Engine]
    """What made the words."""
    diarization: str
    """What made the turns; `off` if speakers are not told apart."""
    made: Made | None = None

    def talk_time_ms(self) -> dict[str, int]:
        """Return for how many milliseconds each speaker talks; where several do, it counts for each."""
        times = dict.fromkeys(self.speakers, 0)
        for turn in self.turns:
            lasts = milliseconds(turn.end) - milliseconds(turn.start)
            times[turn.speaker] = times.get(turn.speaker, 0) + lasts
        return times


class Correction(Part):
    """A line of the corrections file and what became of it."""

    line: int
    """Its number in the file."""
    edit: Literal["words", "speaker", "name"]
    """`words`, `speaker` or `name`."""
    start: Seconds | None
    """As in the file, like the next nine."""
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
    """`applied`, `fulfilled` (the transcript says so already) or `open` (it has no place)."""
    places: int
    """How many times it was applied."""
    reason: str | None = None
    """Why it is open."""


class Corrections(Artifact):
    """What became of each correction of a session. ``results/correct/{session}.corrections.json``."""

    session: str
    corrections: list[Correction]
    """As the file has them."""
