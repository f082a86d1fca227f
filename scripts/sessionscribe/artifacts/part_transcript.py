"""The transcript beside a part of a live session."""

from __future__ import annotations

from sessionscribe.artifacts.base import Artifact, Part, Seconds
from sessionscribe.artifacts.chunk_transcript import ChunkTranscript, Language
from sessionscribe.artifacts.plan import ChunkPlan
from sessionscribe.artifacts.recording import Conversion, Ingest
from sessionscribe.artifacts.transcript import Made


class SaidWord(Part):
    """A word; times are in seconds from the start of the part."""

    word: str
    """The text."""
    start: Seconds
    """Seconds from the start of the part."""
    end: Seconds
    probability: float


class Said(Part):
    """Consecutive words."""

    start: Seconds
    """Seconds from the start of the part."""
    end: Seconds
    text: str
    words: list[SaidWord]


class Audio(Part):
    """The converted audio, which is not included."""

    size: int
    sha256: str


class Work(Part):
    """The results of the steps for a part."""

    keys: dict[str, str]
    """The key of each step, by rule."""
    flags: dict[str, list[str]]
    """The warnings of each step, by rule."""
    ingest: Ingest
    """The source file."""
    conversion: Conversion
    """Its conversion."""
    audio: Audio
    """The converted audio, which is not included."""
    plan: ChunkPlan
    """Its chunks and speech."""
    language: Language
    """The language of the session."""
    transcript: ChunkTranscript
    """The words of the part."""


class PartTranscript(Artifact):
    """The transcript of one part, ``transcription-{part}.json`` beside it.

    It does not depend on the machine that wrote it.
    """

    part: int | None
    """The number in the part's file name, if any."""
    source: str
    """The name of the part's file."""
    checksum: str
    duration_s: Seconds
    language: str
    segments: list[Said]
    """Consecutive words each."""
    made: Made
    work: Work
    """The results from which another machine continues."""
