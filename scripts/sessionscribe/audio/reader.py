"""Reading the sound of a recording in blocks, on the container's clock.

`ingest` and `convert` share it, so that a duration that was probed exactly is the one that conversion gives.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sessionscribe.audio import containers, media
from sessionscribe.audio.source import Source
from sessionscribe.core.errors import UserError
from sessionscribe.core.units import tolerance_s

if TYPE_CHECKING:
    import numpy as np
    from av import AudioFrame, AudioResampler, Packet
    from av.audio.stream import AudioStream as Stream
    from av.container import InputContainer
    from numpy.typing import NDArray

GAP_S = 0.05
"""A hole in the timestamps that is longer than this (in seconds) is filled with silence."""
RESET_S = 2.0
"""Timestamps that jump back by more than this (in seconds) begin a new clock."""
MAX_GAP_S = 6 * 3600.0
"""A longer hole (in seconds) is taken for a broken clock, unless `ingest.max_gap_h` says otherwise."""
MAX_HOURS_PER_MB = 100.0
"""More sound in a megabyte is none, unless `ingest.max_hours_per_mb` says otherwise; lean codecs have 10."""
ALLOWED_S = 60.0
"""So much sound (in seconds) the smallest file may have."""
UNREAD = 0.1
"""More of a file than this share is no index, no tags and no padding."""
CANDIDATES = 16
"""So many places behind the sound of a recording are tried for another one."""
SAFE_PLANES = 8
BLOCK_S = 1.0
FILL_BLOCK_S = 10.0


@dataclass
class Clock:
    """Where a stream of audio is on the container's clock, in seconds, with the holes in its timestamps.

    Args:
        origin_s: the container's time that is 0 here.
        limit_s: a hole that would end beyond this is a broken clock, not missing audio.
        max_gap_s: so is a longer hole.
    """

    origin_s: float
    limit_s: float
    max_gap_s: float = MAX_GAP_S
    position_s: float = 0.0
    gaps: int = 0
    filled_s: float = 0.0
    jumps: int = 0

    def arrive(self, time_s: float | None) -> float:
        """Return how much silence lies before audio that is stamped `time_s`, in seconds, and count it."""
        if time_s is None:
            return 0.0
        ahead = time_s - self.origin_s - self.position_s
        if -RESET_S <= ahead <= GAP_S:
            return 0.0
        if ahead < 0 or ahead > self.max_gap_s or self.position_s + ahead > self.limit_s:
            self.origin_s += ahead
            self.jumps += 1
            return 0.0
        if self.position_s:  # before that, the sound has not begun
            self.gaps += 1
            self.filled_s += ahead
        self.position_s += ahead
        return ahead


@dataclass(frozen=True)
class Limits:
    """How much sound a recording may hold (`ingest.max_hours_per_mb`), and how long its holes may be."""

    max_hours_per_mb: float = MAX_HOURS_PER_MB
    max_gap_h: float = MAX_GAP_S / 3600

    def check(self, seconds: float, source: Source) -> None:
        """Check that so much sound can be in a file.

        Raises:
            UserError: it is more than any codec needs so few bytes for.
        """
        size = source.stat().st_size
        if seconds > ALLOWED_S + size * self.max_hours_per_mb * 3600e-6:
            what = f"claims to hold more than {seconds / 3600:.1f} h of sound in {size / 1e6:.3f} MB"
            hint = "If that is right, raise `ingest.max_hours_per_mb`; else remove its row from the manifest"
            raise media.RecordingError(what, where=source, hint=hint)


@dataclass
class Reader:
    """Reads one audio stream of a recording in blocks, on the container's clock.

    Audio that begins after the container's start (a video whose sound comes in late) and holes in the
    timestamps of more than `GAP_S` (packets that a recorder lost) become silence, so that every time is the
    time that a player shows. Packets that cannot be decoded are skipped and counted. Behind the sound of one
    recording others may follow in the same file; they are read, too, and counted (`links`).

    Args:
        source: the recording.
        number: of the audio stream, from 0.
        expected_s: how long it should be, in seconds, where that is known; silence is never filled in far
            beyond this or what the container says.
        limits: how much sound there may be.
    """

    source: Source
    number: int
    expected_s: float = 0.0
    limits: Limits = field(default_factory=Limits)
    clock: Clock = field(init=False)
    decoded_packets: int = 0
    damaged_packets: int = 0
    error: str = ""
    links: int = 0
    start_s: float = 0.0
    """Where the first recording's own clock begins, in seconds."""
    _container: InputContainer = field(init=False)
    _stream: Stream = field(init=False)
    _end: int = 0
    """Where the last packet that is sound ends, in bytes."""
    _alone: bool = False
    """Whether the file has been found to hold this stream and nothing else."""
    _damaged: int = 0
    """How many damaged packets come after it."""
    _rate: int = 0
    """The sample rate that times are counted by, in Hz, where packets carry none; else 0."""

    def __post_init__(self) -> None:
        self.clock = Clock(0.0, math.inf, self.limits.max_gap_h * 3600)

    def count(self) -> float:
        """Return how long the stream is by its packets, in seconds; the file is read and not decoded."""
        for _ in self._links():
            for packet in self._packets():
                self._note_end(packet)
                self.clock.arrive(None if packet.pts is None else float(packet.pts * packet.time_base))
                self.clock.position_s += float((packet.duration or 0) * packet.time_base)
                self.limits.check(self.clock.position_s, self.source)
        return self.clock.position_s

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield (sample rate, samples [channels, n], full scale 1.0) in order, about a second at a time."""
        for _ in self._links():
            yield from self._blocks()

    def is_cut_off(self) -> bool:
        """Return whether a recording that was read and is shorter than it says has lost its end.

        Else it never was that long.
        """
        lost = containers.is_cut_off(self.source)
        if lost is None:
            lost = bool(self.damaged_packets or self.error)
        return lost or self._leaves_content()

    def _leaves_content(self) -> bool:
        """Return whether much of a file with one stream lies behind its last packet, and is not empty."""
        if not self._alone or not 0 < self._end < (1 - UNREAD) * self.source.stat().st_size:
            return False
        with self.source.open("rb") as file:
            file.seek(self._end)
            return any(file.read(media.READ_BYTES))

    def _links(self) -> Iterator[None]:
        """Open the recording, and each that follows it in the file, one after the other."""
        waiting = containers.recordings(self.source)
        while waiting:
            source = waiting.pop(0)
            with media.open_media(source) as container:
                self._container = container
                self._stream = media.audio_streams(container, source)[self.number]
                self.clock.origin_s = media.start_time(container) - self.clock.position_s
                declared = max(self.expected_s, (container.duration or 0) / 1e6)
                self.clock.limit_s = (
                    self.clock.position_s + declared + tolerance_s(declared) if declared else math.inf
                )
                self.start_s = self.start_s if self.links else media.start_time(container)
                self.links, self._end, self._damaged = self.links + 1, 0, 0
                self._alone = self.links == len(container.streams) == 1
                self._rate = (
                    media.sample_rate(self._stream) if container.format.name in containers.UNTIMED else 0
                )
                yield
            if hidden := self._next(source):
                waiting.insert(0, hidden)
                self.damaged_packets -= self._damaged
                self.error = ""

    def _next(self, source: Source) -> Source | None:
        """Return the recording that follows in the same file, behind the last packet."""
        for candidate in itertools.islice(containers.following(source, self._end), CANDIDATES):
            with contextlib.suppress(UserError), media.open_media(candidate) as container:
                streams = media.audio_streams(container, candidate)
                if self.number < len(streams) and media.is_decodable(streams[self.number]):
                    return candidate
        return None

    def _blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        import numpy as np  # noqa: PLC0415 -- heavy

        pending: list[NDArray[np.float32]] = []
        rate = held = 0
        unpack = Unpacker()
        for frame in self._frames():
            if self._rate not in (0, frame.sample_rate):
                self._rate = -1  # no time is right from here on
            gap = self.clock.arrive(None if self._rate < 0 else frame.time)
            samples = unpack(frame)
            changed = bool(pending) and (frame.sample_rate != rate or len(samples) != len(pending[0]))
            if pending and (gap or changed or held >= rate * BLOCK_S):
                yield rate, np.concatenate(pending, axis=1)
                pending, held = [], 0
            rate = frame.sample_rate
            self.clock.position_s += samples.shape[1] / rate
            self.limits.check(self.clock.position_s, self.source)
            missing = round(gap * rate)
            while missing > 0:
                piece = min(missing, round(FILL_BLOCK_S * rate))
                yield rate, np.zeros((len(samples), piece), np.float32)
                missing -= piece
            pending.append(samples)
            held += samples.shape[1]
        if pending:
            yield rate, np.concatenate(pending, axis=1)

    def _packets(self) -> Iterator[Packet[Any]]:
        """Yield the stream's packets; where the rest cannot be found, note why and end."""
        import av  # noqa: PLC0415 -- heavy

        media.only(self._container, self._stream)
        found = media.packets(self._container, self._stream)
        while True:
            try:
                packet = next(found, None)
            except av.FFmpegError as error:
                if media.is_unreadable(self.source, error):
                    raise
                self.error = error.strerror or str(error)  # the caller compares durations
                return
            if packet is None:
                return
            if packet.has_sidedata("encryption_info"):
                hint = "Get a copy without copy protection, or record what you hear"
                raise media.RecordingError("is encrypted", where=self.source, hint=hint)
            yield packet

    def _note_end(self, packet: Packet[Any]) -> None:
        self._damaged = 0
        if packet.pos is not None:
            self._end = max(self._end, packet.pos + packet.size)

    def _frames(self) -> Iterator[AudioFrame]:
        import av  # noqa: PLC0415 -- heavy

        for packet in self._packets():
            try:
                frames = self._stream.codec_context.decode(packet)
            except av.EOFError:
                return
            except av.FFmpegError:
                self.damaged_packets += 1
                self._damaged += 1
                continue
            self.decoded_packets += 1
            self._note_end(packet)
            yield from (frame for frame in frames if frame.samples and frame.sample_rate)


@dataclass
class Unpacker:
    """Turns decoded frames into [channels, n] float32, full scale 1.0."""

    _resampler: AudioResampler | None = None
    _kind: tuple[str, str, int] = ("", "", 0)

    def __call__(self, frame: AudioFrame) -> NDArray[np.float32]:
        """Return the samples of a frame."""
        import numpy as np  # noqa: PLC0415 -- heavy

        channels = frame.layout.nb_channels
        # PyAV 18 does not know 64-bit integers, and counts the planes of 8 and more channels wrongly: its
        # to_ndarray() then reads memory that is not the frame's. Interleaved samples are one plane.
        if frame.format.name.startswith("s64") or (frame.format.is_planar and channels >= SAFE_PLANES):
            parts = [part.to_ndarray().reshape(-1, channels).T for part in self._interleaved(frame)]
            return np.concatenate([np.zeros((channels, 0), np.float32), *parts], axis=1, dtype=np.float32)
        raw = frame.to_ndarray()
        if not frame.format.is_planar:
            raw = raw.reshape(-1, channels).T
        samples = raw.astype(np.float32)
        if raw.dtype == np.uint8:
            samples = (samples - np.float32(128)) / np.float32(128)
        elif raw.dtype.kind == "i":
            samples *= np.float32(1.0 / 2 ** (8 * raw.dtype.itemsize - 1))
        return samples

    def _interleaved(self, frame: AudioFrame) -> list[AudioFrame]:
        import av  # noqa: PLC0415 -- heavy

        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._kind or self._resampler is None:
            self._kind = kind
            self._resampler = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
        return self._resampler.resample(frame)
