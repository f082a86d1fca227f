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
    corrected: bool = Field(default=False, exclude_if=lambda value: not value)


class SpokenSegment(Part):
    """What one speaker says without a break."""

    start: Seconds
    end: Seconds
    speaker: str | None
    text: str
    words: list[SpokenWord]


class Made(Part):
    """What a transcript was made of and with: enough to say why two differ.

    ``sources`` has the checksum of each track's recording, ``models`` what identifies those that were asked
    for, ``settings`` what the jobs were told, by stage, ``versions`` those of packages and of our own code.
    """

    sources: dict[str, str]
    models: dict[str, str]
    settings: dict[str, dict[str, object]]
    versions: dict[str, str]


class Transcript(SessionArtifact):
    """A whole transcript: ``results/diarize/{session}.json``, by labels of speakers; and, with names and
    corrections laid over it, ``results/correct/{session}.json`` and the export ``json``.
    """

    VERSION: ClassVar[int] = 2
    OLDER: ClassVar[frozenset[int]] = frozenset({1})
    schema_version: int = 2
    duration_s: Seconds
    language: str
    speakers: list[str]
    segments: list[SpokenSegment]
    turns: list[Turn]
    gaps: list[Gap]
    flags: list[str]
    engines: list[Engine]
    diarization: str
    made: Made | None = None


class Correction(Part):
    """A line of the corrections file and what became of it.

    ``open``: there is no place for it, for the ``reason``; ``fulfilled``: the transcript says so already.
    ``places`` is how many times it was applied; ``start`` and ``end`` are as given, the other columns too.
    """

    line: int
    edit: Literal["words", "speaker", "name"]
    start: Seconds | None
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
    places: int
    reason: str | None = None


class Corrections(Artifact):
    """What became of each correction of a session. ``results/correct/{session}.corrections.json``."""

    session: str
    corrections: list[Correction]
