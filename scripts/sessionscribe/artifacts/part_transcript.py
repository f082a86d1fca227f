"""The transcript that lies beside a part of a live session."""

from __future__ import annotations

from sessionscribe.artifacts.base import Artifact, Part, Seconds
from sessionscribe.artifacts.chunk_transcript import ChunkTranscript, Language
from sessionscribe.artifacts.plan import ChunkPlan
from sessionscribe.artifacts.recording import Conversion, Ingest
from sessionscribe.artifacts.transcript import Made


class SaidWord(Part):
    """A word; times are seconds from the part's beginning."""

    word: str
    """The word."""
    start: Seconds
    """Seconds from the part's beginning."""
    end: Seconds
    probability: float
    """The model's."""


class Said(Part):
    """What was said without a break."""

    start: Seconds
    """Seconds from the part's beginning."""
    end: Seconds
    text: str
    words: list[SaidWord]


class Audio(Part):
    """The converted audio, which is not sent along."""

    size: int
    sha256: str


class Work(Part):
    """What the steps of a part made."""

    keys: dict[str, str]
    """The key of each step, by rule."""
    flags: dict[str, list[str]]
    """What a reader should know, by rule."""
    ingest: Ingest
    """The source file."""
    conversion: Conversion
    """How it was converted."""
    audio: Audio
    """The converted audio, which is not sent along."""
    plan: ChunkPlan
    """Where there is speech."""
    language: Language
    """The session's."""
    transcript: ChunkTranscript
    """The words of the part."""


class PartTranscript(Artifact):
    """What was said in one part. ``transcription-{part}.json`` beside the part.

    Nothing in it depends on the machine that wrote it: the same work is the same file.
    """

    part: int | None
    """Number of the part, if its name has one."""
    source: str
    """Name of the part's file."""
    checksum: str
    """Of its content."""
    duration_s: Seconds
    language: str
    segments: list[Said]
    """What was said."""
    made: Made
    work: Work
    """What another machine needs to continue."""
