"""Recordings and their conversion."""

from __future__ import annotations

from sessionscribe.artifacts.base import Artifact, Part, Samples, Seconds


class AudioStream(Part):
    """An audio stream of a recording."""

    index: int
    """The number among the file's audio streams, from 0."""
    codec: str
    """FFmpeg's name of the codec."""
    sample_rate: int
    """The sample rate, in Hz."""
    channels: int
    language: str | None = None
    """The language tag, if any."""


class Ingest(Artifact):
    """A source file that matches the manifest. ``results/ingest/{session}/{track}.json``."""

    session: str
    track: str
    source: str
    """The source in the manifest."""
    path: str
    """The local file that is read."""
    size: int
    checksum: str
    container: str
    """FFmpeg's name of the format."""
    duration_s: Seconds
    """The length of the audio."""
    streams: list[AudioStream]
    """The audio streams."""


class Conversion(Artifact):
    """The conversion of a source to the FLAC file beside it. ``results/convert/{session}/{track}.json``."""

    session: str
    track: str
    samples: Samples
    stream: AudioStream
    """The audio stream that was used."""
    choice: str
    """Why that stream was chosen."""
    channel: str
    """The channels that were used."""
    clipped_samples: int = 0
    """The number of samples at full scale."""
    nonfinite_samples: int = 0
    """The number of invalid samples (NaN, infinity), which became silence."""
    peak: float
    """The largest absolute value; 1 is full scale."""
    warnings: list[str] = []
    """Defects of the recording."""
    missing: str = ""
    """Why (the rest of) a live part is missing; empty if it is complete."""
    missing_s: Seconds = 0.0
    """The length of the missing audio at its end; 0 if unknown."""
    starts_s: Seconds | None = None
    """The start of a live part that is a slice of a stream, by the clock of the stream."""
