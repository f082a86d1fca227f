"""Recordings, as they are found and as they are converted."""

from __future__ import annotations

from sessionscribe.artifacts.base import Artifact, Part, Samples, Seconds


class AudioStream(Part):
    """One audio stream of a recording, as probed."""

    index: int
    codec: str
    sample_rate: int
    channels: int
    language: str | None = None


class Ingest(Artifact):
    """A source file, found to be what the manifest says. ``results/ingest/{session}/{track}.json``."""

    session: str
    track: str
    source: str
    path: str
    size: int
    checksum: str
    container: str
    duration_s: Seconds
    streams: list[AudioStream]


class Conversion(Artifact):
    """What was done to a source to get the FLAC beside it. ``results/convert/{session}/{track}.json``."""

    session: str
    track: str
    samples: Samples
    stream: AudioStream
    choice: str
    channel: str
    clipped_samples: int = 0
    nonfinite_samples: int = 0
    peak: float
    warnings: list[str] = []
