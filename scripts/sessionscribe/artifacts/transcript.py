"""The whole transcript, and what became of corrections to it."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sessionscribe.artifacts.base import Artifact, Part, Seconds, SessionArtifact
from sessionscribe.artifacts.chunk_transcript import Engine, Word
from sessionscribe.artifacts.plan import Gap
from sessionscribe.artifacts.speakers import Turn


class SpokenWord(Word):
    """A word with its speaker; ``second_speaker`` talks over it.

    ``corrected``, which is left out where it is false: a person changed its text (its probability is then 1)
    or its speaker.
    """

    second_speaker: str | None = None
    """Who talks over at least half of it."""
    corrected: bool = Field(default=False, exclude_if=lambda value: not value)
    """Whether a person changed its text (the probability is then 1) or speaker; left out where not."""


class SpokenSegment(Part):
    """What one speaker says without a break."""

    start: Seconds
    end: Seconds
    speaker: str | None
    """Label or name; null where nobody is known."""
    text: str
    """Its words, joined."""
    words: list[SpokenWord]


class Made(Part):
    """What a transcript was made of and with: enough to say why two differ.

    ``sources`` has the checksum of each track's recording, ``models`` what identifies those that were asked
    for, ``settings`` what the jobs were told, by stage, ``versions`` those of packages and of our own code.
    """

    sources: dict[str, str]
    """Checksum of each track's recording."""
    models: dict[str, str]
    """What identifies the speech model and the diarization pipeline."""
    settings: dict[str, dict[str, object]]
    """Settings of all jobs, by stage."""
    versions: dict[str, str]
    """Of packages, and of our code with a checksum of its files."""


class Transcript(SessionArtifact):
    """A whole transcript: ``results/diarize/{session}.json``, by labels of speakers; and, with names and
    corrections laid over it, ``results/correct/{session}.json`` and the export ``json``.
    """

    VERSION: ClassVar[int] = 2
    OLDER: ClassVar[frozenset[int]] = frozenset({1})
    schema_version: int = 2
    duration_s: Seconds
    """Length of the session."""
    language: str
    """The language of most words."""
    speakers: list[str]
    """By first appearance."""
    segments: list[SpokenSegment]
    """What one speaker says without a break."""
    turns: list[Turn]
    """Overlaps included."""
    gaps: list[Gap]
    """Audio that is missing."""
    flags: list[str]
    """What a reader should know, in plain words."""
    engines: list[Engine]
    """What made the words."""
    diarization: str
    """What made the turns; `off` where speakers were not asked for."""
    made: Made | None = None
    """Of what and with what."""


class Correction(Part):
    """A line of the corrections file and what became of it.

    ``open``: there is no place for it, for the ``reason``; ``fulfilled``: the transcript says so already.
    ``places`` is how many times it was applied; ``start`` and ``end`` are as given, the other columns too.
    """

    line: int
    """Its number in the file."""
    edit: Literal["words", "speaker", "name"]
    """`words`, `speaker` or `name`."""
    start: Seconds | None
    """As in the file, like the columns up to `date`."""
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
