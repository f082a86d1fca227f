"""Encode and decode small audio files with PyAV (FFmpeg's libraries; no system ffmpeg)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
Audio = NDArray[np.float32]


@dataclass(frozen=True)
class AudioFormat:
    """Container, codec and bit rate of an audio file."""

    container: str
    codec: str
    bit_rate: int = 0
    """Bits per second; 0 lets the codec decide (FLAC)."""
    rate: int = SAMPLE_RATE
    """Sampling rate of the file in Hz."""


OPUS = AudioFormat("ogg", "libopus", 16_000)
WEBM = AudioFormat("webm", "libopus", 20_000, 48_000)
FLAC = AudioFormat("flac", "flac")


def audio_frames(audio: Audio, frame_samples: int = 1024) -> list[av.AudioFrame]:
    """Cut 16 kHz mono samples, shape (samples,), into signed 16-bit frames with time stamps."""
    samples = np.clip(np.round(audio * 32767), -32768, 32767).astype(np.int16)
    frames = []
    for start in range(0, len(samples), frame_samples):
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[None, start : start + frame_samples]), format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
        frames.append(frame)
    return frames


def filter_frames(audio: Audio, sink: str, **filters: dict[str, str]) -> Iterator[Any]:
    """Yield the frames that FFmpeg's filters, by name, make of 16 kHz mono samples.

    ``sink`` is ``abuffersink`` where they make sound, and ``buffersink`` where they make pictures.
    """
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=SAMPLE_RATE, format="s16", layout="mono", time_base=f"1/{SAMPLE_RATE}"
    )
    chain = [graph.add(name, **options) for name, options in filters.items()]
    graph.link_nodes(source, *chain, graph.add(sink)).configure()
    for frame in (*audio_frames(audio), None):
        graph.push(frame)
        with contextlib.suppress(av.BlockingIOError, av.EOFError):
            while True:
                yield graph.pull()


def write_audio(target: Path, audio: Audio, form: AudioFormat) -> None:
    """Encode 16 kHz mono samples, shape (samples,), into one file."""
    with av.open(str(target), "w", format=form.container) as container:
        stream = container.add_stream(form.codec, rate=form.rate, layout="mono")
        assert isinstance(stream, av.AudioStream)
        if form.bit_rate:
            stream.bit_rate = form.bit_rate
        for frame in audio_frames(audio):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def read_audio(source: Path) -> Audio:
    """Decode the first audio stream to 16 kHz mono float32, shape (samples,)."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    parts: list[NDArray[np.float32]] = []
    with av.open(str(source)) as container:
        for frame in container.decode(audio=0):
            parts.extend(part.to_ndarray()[0] for part in resampler.resample(frame))
    parts.extend(part.to_ndarray()[0] for part in resampler.resample(None))
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)
