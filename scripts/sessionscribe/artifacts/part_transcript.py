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
    """What was said."""
    words: list[SaidWord]


class Audio(Part):
    """The converted audio, which is not sent along."""

    size: int
    """In bytes."""
    sha256: str
    """Of the content."""


class Work(Part):
    """What the steps of a part made.

    ``keys`` name, by rule, what each was made of and with; ``flags`` are what they found worth a look.
    """

    keys: dict[str, str]
    """By rule: what each step was made of and with."""
    flags: dict[str, list[str]]
    """By rule: what each step found worth a look."""
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

    ``source`` is the name of the part's file, ``checksum`` that of its content. Nothing in it depends on the
    machine that wrote it, so that the same work is the same file.
    """

    part: int | None
    """Number of the part, if its name has one."""
    source: str
    """Name of the part's file."""
    checksum: str
    """Of its content."""
    duration_s: Seconds
    """Its length."""
    language: str
    """The language of most words."""
    segments: list[Said]
    """What was said."""
    made: Made
    """Of what and with what."""
    work: Work
    """What another machine needs to go on."""
