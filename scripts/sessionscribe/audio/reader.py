"""Read the audio of a recording in blocks, on the container's clock.

`ingest` and `convert` share it, so that both find the same duration.
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
"""Longer gaps in the timestamps (in seconds) are filled with silence."""
RESET_S = 2.0
"""If timestamps go back by more than this (in seconds), a new clock begins."""
MAX_GAP_S = 6 * 3600.0
"""Default of `ingest.max_gap_h`, in seconds: longer gaps are taken for a broken clock."""
MAX_HOURS_PER_MB = 100.0
"""Default of `ingest.max_hours_per_mb`; the most efficient speech codecs reach 10."""
ALLOWED_S = 60.0
"""Duration that a file of any size may have, in seconds."""
UNREAD = 0.1
"""If a larger share of a file follows the audio, it is not just an index, tags and padding."""
CANDIDATES = 16
"""Possible beginnings of another recording behind the audio that are tried."""
BLOCK_S = 1.0
FILL_BLOCK_S = 10.0


@dataclass
class Clock:
    """The position of an audio stream on the container's clock in seconds, and the gaps in its timestamps.

    Args:
        origin_s: the container's time at position 0.
        limit_s: a gap that ends later means a broken clock, not missing audio.
        max_gap_s: so does a longer gap.
    """

    origin_s: float
    limit_s: float
    max_gap_s: float = MAX_GAP_S
    position_s: float = 0.0
    gaps: int = 0
    filled_s: float = 0.0
    jumps: int = 0

    def advance(self, time_s: float | None) -> float:
        """Return the silence before audio with timestamp `time_s`, in seconds, and advance by it."""
        if time_s is None:
            return 0.0
        ahead = time_s - self.origin_s - self.position_s
        if -RESET_S <= ahead <= GAP_S:
            return 0.0
        if ahead < 0 or ahead > self.max_gap_s or self.position_s + ahead > self.limit_s:
            self.origin_s += ahead
            self.jumps += 1
            return 0.0
        if self.position_s:  # else the audio starts late, which is not a gap
            self.gaps += 1
            self.filled_s += ahead
        self.position_s += ahead
        return ahead


@dataclass(frozen=True)
class Limits:
    """The limits `ingest.max_hours_per_mb` and `ingest.max_gap_h`."""

    max_hours_per_mb: float = MAX_HOURS_PER_MB
    max_gap_h: float = MAX_GAP_S / 3600

    def check(self, seconds: float, source: Source) -> None:
        """Check that a duration is plausible for the size of a file.

        Raises:
            UserError: no codec needs so few bytes.
        """
        size = source.stat().st_size
        if seconds > ALLOWED_S + size * self.max_hours_per_mb * 3600e-6:
            what = f"claims to contain more than {seconds / 3600:.1f} h of audio in {size / 1e6:.3f} MB"
            hint = "If that is right, raise `ingest.max_hours_per_mb`; else remove its row from the manifest"
            raise media.RecordingError(what, where=source, hint=hint)


@dataclass
class Reader:
    """A reader of one audio stream of a recording, in blocks, on the container's clock.

    A late start of the audio and gaps of more than `GAP_S` (lost packets) become silence, so that all times
    are those that a player shows. Packets that cannot be decoded are skipped and counted. Further recordings
    in the same file are read, too, and counted (`recordings`).

    Args:
        source: the recording.
        number: the number of the audio stream, from 0.
        expected_s: the expected duration in seconds, if known; gaps are not filled far beyond this or the
            container's duration.
        limits: limits of durations.
    """

    source: Source
    number: int
    expected_s: float = 0.0
    limits: Limits = field(default_factory=Limits)
    clock: Clock = field(init=False)
    decoded_packets: int = 0
    damaged_packets: int = 0
    error: str = ""
    recordings: int = 0
    start_s: float = 0.0
    """Start of the first recording's clock, in seconds."""
    _container: InputContainer = field(init=False)
    _stream: Stream = field(init=False)
    _end: int = 0
    """End of the last decodable packet, in bytes."""
    _alone: bool = False
    """Whether the file contains this stream only."""
    _damaged: int = 0
    """Number of damaged packets after `_end`."""
    _rate: int = 0
    """In formats without timestamps: the sample rate in Hz from which FFmpeg derives them; else 0."""

    def __post_init__(self) -> None:
        self.clock = Clock(0.0, math.inf, self.limits.max_gap_h * 3600)

    def count(self) -> float:
        """Return the duration of the stream according to its packets, in seconds, without decoding them."""
        for _ in self._recordings():
            for packet in self._packets():
                self._note_end(packet)
                self.clock.advance(None if packet.pts is None else float(packet.pts * packet.time_base))
                self.clock.position_s += float((packet.duration or 0) * packet.time_base)
                self.limits.check(self.clock.position_s, self.source)
        return self.clock.position_s

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield (sample rate, samples ``[channels, n]``, full scale 1.0) of about a second each."""
        for _ in self._recordings():
            yield from self._blocks()

    def is_cut_off(self) -> bool:
        """Return whether a recording is truncated; call this if it is shorter than its header says."""
        lost = containers.is_cut_off(self.source)
        if lost is None:
            lost = bool(self.damaged_packets or self.error)
        return lost or self._has_content_after_end()

    def _has_content_after_end(self) -> bool:
        """Return whether a large part of a file with one stream follows its last packet and is not empty."""
        if not self._alone or not 0 < self._end < (1 - UNREAD) * self.source.stat().st_size:
            return False
        with self.source.open("rb") as file:
            file.seek(self._end)
            return any(file.read(media.READ_BYTES))

    def _recordings(self) -> Iterator[None]:
        """Open the recordings in the file one after the other."""
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
                self.start_s = self.start_s if self.recordings else media.start_time(container)
                self.recordings, self._end, self._damaged = self.recordings + 1, 0, 0
                self._alone = self.recordings == len(container.streams) == 1
                self._rate = (
                    media.sample_rate(self._stream) if container.format.name in containers.UNTIMED else 0
                )
                yield
            if hidden := self._next(source):
                waiting.insert(0, hidden)
                self.damaged_packets -= self._damaged
                self.error = ""

    def _next(self, source: Source) -> Source | None:
        """Return the next recording in the file, after the last packet, if there is one."""
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
                self._rate = -1  # FFmpeg's times are wrong from here on
            gap = self.clock.advance(None if self._rate < 0 else frame.time)
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
        """Yield the stream's packets; if FFmpeg cannot read on, keep the error and end."""
        import av  # noqa: PLC0415 -- heavy

        media.only(self._container, self._stream)
        found = media.packets(self._container, self._stream)
        while True:
            try:
                packet = next(found, None)
            except av.FFmpegError as error:
                if media.is_unreadable(self.source, error):
                    raise
                self.error = error.strerror or str(error)  # callers compare durations
                return
            if packet is None:
                return
            if packet.has_sidedata("encryption_info"):
                hint = "Use a copy without copy protection"
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
    """A converter of decoded frames to float32 ``[channels, n]``, full scale 1.0."""

    _resampler: AudioResampler | None = None
    _kind: tuple[str, str, int] = ("", "", 0)

    def __call__(self, frame: AudioFrame) -> NDArray[np.float32]:
        """Return the samples of a frame."""
        import av  # noqa: PLC0415 -- heavy
        import numpy as np  # noqa: PLC0415 -- heavy

        # PyAV 18's to_ndarray() does not support 64-bit integers, and miscounts the planes of 8 and more
        # channels, so that it reads beyond the frame's memory. Interleaved samples are a single plane.
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._kind or self._resampler is None:
            self._kind = kind
            self._resampler = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
        channels = frame.layout.nb_channels
        parts = [part.to_ndarray().reshape(-1, channels).T for part in self._resampler.resample(frame)]
        return np.concatenate([np.zeros((channels, 0), np.float32), *parts], axis=1)
