"""Writes recordings of every kind for tests: containers, codecs, rates, channels, pictures, damage."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

Audio = NDArray[np.float32]

CODECS = {
    ".aac": "aac",
    ".aiff": "pcm_s16be",
    ".flac": "flac",
    ".m4a": "aac",
    ".mka": "flac",
    ".mkv": "aac",
    ".mov": "aac",
    ".mp3": "libmp3lame",
    ".mp4": "aac",
    ".ogg": "libopus",
    ".opus": "libopus",
    ".ts": "aac",
    ".wav": "pcm_s16le",
    ".webm": "libopus",
}
FORMATS = {
    ".aac": "adts",
    ".aif": "aiff",
    ".m4a": "ipod",
    ".mka": "matroska",
    ".mkv": "matroska",
    ".ts": "mpegts",
    ".wma": "asf",
}
PICTURES = {".mkv": "mpeg4", ".mov": "mpeg4", ".mp4": "mpeg4", ".ts": "mpeg2video", ".webm": "libvpx"}
LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
RATES = {"libopus": 48_000}


def tone(
    seconds: float, *, rate: int = 16_000, channels: int = 1, frequency: float = 440, level: float = 0.3
) -> Audio:
    """Return a sine [channels, n]; each channel has an overtone of its own."""
    time = np.arange(round(seconds * rate)) / rate
    rows = [level * np.sin(2 * np.pi * frequency * (1 + channel) * time) for channel in range(channels)]
    return np.asarray(rows, np.float32)


@dataclass
class Sound:
    """An audio stream to write: samples [channels, n], and packets to lose between `lost` seconds."""

    samples: Audio
    rate: int = 16_000
    codec: str | None = None
    language: str | None = None
    default: bool | None = None
    late_s: float = 0.0
    lost: Sequence[tuple[float, float]] = ()
    options: dict[str, str] = field(default_factory=dict)


class Pipe:
    """A file that cannot be rewound, as a browser's recorder has: the container gets no duration."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")

    def write(self, data: bytes) -> int:
        return self.file.write(data)


def write_media(
    path: Path,
    sounds: Sequence[Sound],
    *,
    picture_s: float = 0.0,
    container: str | None = None,
    options: dict[str, str] | None = None,
    pipe: bool = False,
) -> Path:
    """Write a recording with these audio streams, and `picture_s` seconds of a moving picture."""
    path = Path(path)
    suffix = path.suffix.lower()
    target: Any = Pipe(path) if pipe else str(path.absolute())
    container = container or FORMATS.get(suffix, suffix[1:])
    packets: list[tuple[float, Any]] = []
    with av.open(target, "w", format=container, options=options or {}) as output:
        if picture_s:
            packets += _picture(output, PICTURES[suffix], picture_s)
        for sound in sounds:
            packets += _sound(output, sound, sound.codec or CODECS[suffix])
        for _, packet in sorted(packets, key=lambda item: item[0]):
            output.mux(packet)
    if pipe:
        target.file.close()
    return path


def _picture(output: Any, codec: str, seconds: float) -> list[tuple[float, Any]]:
    stream = output.add_stream(codec, 5, {"b": "20000"})
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    packets = []
    for number in range(round(5 * seconds)):
        image = np.zeros((48, 64, 3), np.uint8)
        image[:, number % 64 :, number % 3] = 200
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, 5)
        packets += stream.encode(frame)
    return [(float(p.pts * p.time_base), p) for p in [*packets, *stream.encode(None)]]


def _sound(output: Any, sound: Sound, codec: str) -> list[tuple[float, Any]]:
    channels = len(sound.samples)
    layout = LAYOUTS.get(channels, f"{channels} channels")
    stream = output.add_stream(codec, RATES.get(codec, sound.rate), sound.options, layout=layout)
    if sound.language:
        stream.metadata["language"] = sound.language
    if sound.default is not None:
        stream.disposition = Disposition.default if sound.default else Disposition(0)
    packets = []
    for start in range(0, sound.samples.shape[1], sound.rate):
        block = np.ascontiguousarray(sound.samples[:, start : start + sound.rate])
        frame = av.AudioFrame.from_ndarray(
            block.T.reshape(1, -1).copy(), format="flt", layout=layout
        )  # interleaved: PyAV miscounts the planes of 8 channels
        frame.sample_rate, frame.pts, frame.time_base = sound.rate, start, Fraction(1, sound.rate)
        packets += stream.encode(frame)
    kept = []
    for packet in [*packets, *stream.encode(None)]:
        time = float(packet.pts * packet.time_base)
        if any(start <= time < stop for start, stop in sound.lost):
            continue
        late = round(sound.late_s / packet.time_base)
        packet.pts, packet.dts = packet.pts + late, packet.dts + late
        kept.append((time + sound.late_s, packet))
    return kept


def write_tone(
    path: Path,
    seconds: float,
    *,
    rate: int = 16_000,
    channels: int = 1,
    picture: bool = False,
    **settings: Any,
) -> Path:
    """Write a recording of a sine; `settings` are those of `Sound`."""
    samples = tone(seconds, rate=rate, channels=channels)
    return write_media(path, [Sound(samples, rate, **settings)], picture_s=seconds if picture else 0)


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def damage(path: Path, *, start: float, stop: float, seed: int = 1) -> Path:
    """Overwrite a stretch of a file, given as shares of its length, by noise."""
    data = bytearray(path.read_bytes())
    low, high = int(start * len(data)), int(stop * len(data))
    data[low:high] = np.random.default_rng(seed).integers(0, 256, high - low, np.uint8).tobytes()
    path.write_bytes(data)
    return path


def cut_short(path: Path, share: float) -> Path:
    """Keep the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    return path
