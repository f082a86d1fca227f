"""Recordings, as they are found and as they are converted."""

from __future__ import annotations

from sessionscribe.artifacts.base import Artifact, Part, Samples, Seconds


class AudioStream(Part):
    """One audio stream of a recording, as probed."""

    index: int
    """Number among the file's audio streams, from 0."""
    codec: str
    """FFmpeg's name of the codec."""
    sample_rate: int
    """In Hz."""
    channels: int
    """How many."""
    language: str | None = None
    """As tagged, else null."""


class Ingest(Artifact):
    """A source file that is what the manifest says. ``results/ingest/{session}/{track}.json``."""

    session: str
    track: str
    source: str
    """What the manifest names."""
    path: str
    """The local file that is read."""
    size: int
    checksum: str
    """SHA-256 of the content."""
    container: str
    """FFmpeg's name of the format."""
    duration_s: Seconds
    """Length of its audio."""
    streams: list[AudioStream]
    """Its audio streams."""


class Conversion(Artifact):
    """What was done to a source to get the FLAC beside it. ``results/convert/{session}/{track}.json``."""

    session: str
    track: str
    samples: Samples
    stream: AudioStream
    """The audio stream that was used."""
    choice: str
    """Why that one."""
    channel: str
    """Which of its channels were used."""
    clipped_samples: int = 0
    """Samples at full scale."""
    nonfinite_samples: int = 0
    """Samples that were not numbers and became silence."""
    peak: float
    """The largest absolute value; 1 is full scale."""
    warnings: list[str] = []
    """Defects of the recording that do no harm."""
    missing: str = ""
    """Of a live part: why its sound, or the rest of it, is missing."""
    missing_s: Seconds = 0.0
    """How much is missing after what is here; 0 if it is unknown."""
    starts_s: Seconds | None = None
    """Of a live part that is a slice of a stream: where it begins on the stream's clock."""
