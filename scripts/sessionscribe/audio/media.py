"""Recordings as FFmpeg's libraries see them: opening them safely, and reading their audio in blocks.

`ingest` and `convert` share what is here, so that a duration that was probed exactly is the duration that
conversion gives.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import math
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sessionscribe.artifacts.recording import AudioStream
from sessionscribe.audio import headers
from sessionscribe.audio.headers import Source
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
LEAST_RATE = 1000
"""Sound of a lower sample rate (in Hz) holds no speech, and takes more time than a session has."""
READ_BYTES = 1 << 20
UNREAD = 0.1
"""More of a file than this share is no index, no tags and no padding."""
UNTIMED = ("aac", "ac3", "amr", "dts", "eac3", "loas", "mp3", "truehd")
"""Containers whose packets carry no times: FFmpeg counts them by the first packet's sample rate."""
CANDIDATES = 16
"""So many places behind the sound of a recording are tried for another one."""
SAFE_PLANES = 8
BLOCK_S = 1.0
FILL_BLOCK_S = 10.0
NOT_RECORDINGS = ("concat", "dash", "ffmetadata", "hls", "imf", "lavfi", "rtp", "rtsp", "sbg", "sdp", "tty")
"""Demuxers that follow references to other files or the net, play scripts, or take any text for a picture."""
SIDE_STREAMS = ("comment", "dub", "descriptions", "hearing_impaired", "visual_impaired", "karaoke", "lyrics")
INDEX_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


class RecordingError(UserError):
    """What a file holds is no recording, or none that can be decoded; trying again does not help."""


def check_file(path: Source) -> None:
    """Check that `path` is a file with something in it that can be read.

    Raises:
        UserError: it is missing, a folder or another thing that is no file, empty, not readable, or its name
            is not valid UTF-8.
    """
    try:
        str(path).encode()
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            hint = "Name the recordings in it, or give the folder to `sessionscribe add`"
            raise UserError("is a folder, not a recording", where=path, hint=hint)
        if not stat.S_ISREG(mode):
            hint = "Copy what it gives to a file and use that"
            raise UserError("is not an ordinary file", where=path, hint=hint)
        with path.open("rb") as file:
            if not file.read(1):
                hint = "Copy the recording again, or remove its row from the manifest"
                raise RecordingError("is empty (0 bytes)", where=path, hint=hint)
    except ValueError:
        raise UserError("has a name that is not valid UTF-8", where=path, hint="Rename the file") from None
    except (FileNotFoundError, NotADirectoryError):
        hint = "Put the file back, or remove its row from the manifest"
        raise UserError("does not exist", where=path, hint=hint) from None
    except PermissionError:
        hint = "Give yourself the right to read it (`chmod u+r`, or ask its owner)"
        raise UserError("may not be read (permission denied)", where=path, hint=hint) from None
    except OSError as error:
        hint = "Check the disk or the network share, then run again"
        raise UserError(f"cannot be read ({error.strerror})", where=path, hint=hint) from error


@cache
def _formats() -> str:
    import av  # noqa: PLC0415 -- heavy

    return ",".join(sorted(set(av.formats_available) - set(NOT_RECORDINGS)))


@contextmanager
def open_media(path: Source) -> Iterator[InputContainer]:
    """Open a recording for reading; only this file is read, whatever it refers to.

    Raises:
        UserError: see `check_file`; and: not audio or video, an MP4 without its index, or FFmpeg gives up on
            it within the `with` block.
    """
    import av  # noqa: PLC0415 -- heavy

    check_file(path)
    path = headers.mended(path)
    # The prefix and the absolute path: a name such as `concat:a|b` or `-x` is a name and nothing else.
    file = f"file:{path.absolute()}" if isinstance(path, Path) else path.open("rb")
    limits = {"protocol_whitelist": "file", "format_whitelist": _formats()}
    try:
        container = av.open(file, mode="r", container_options=limits, metadata_errors="ignore")
    except (av.FFmpegError, ValueError) as error:
        raise _refusal(path, error) from error
    with container:
        try:
            yield container
        except av.FFmpegError as error:
            hint = "Check that it plays; copy it again, or convert it to FLAC with another program"
            kind = UserError if _is_unreadable(path, error) else RecordingError
            raise kind(f"cannot be decoded ({error.strerror})", where=path, hint=hint) from error


def _is_unreadable(path: Source, error: Exception) -> bool:
    """Return whether a disk or a network is at fault: some demuxers call the end of a file an I/O error."""
    if getattr(error, "errno", None) not in (errno.EIO, errno.ESTALE):
        return False
    try:
        with path.open("rb") as file:
            while file.read(READ_BYTES):
                pass
    except OSError:
        return True
    return False


def _refusal(path: Source, error: Exception) -> UserError:
    """Return what to tell the user about a file that could not be opened."""
    if getattr(error, "errno", None) in (errno.EMFILE, errno.ENOMEM) or _is_unreadable(path, error):
        hint = "Check the disk or the network share, then run again"
        return UserError(f"cannot be read ({error})", where=path, hint=hint)
    with path.open("rb") as file:
        is_mp4 = file.read(12)[4:8] in INDEX_BOXES
    if is_mp4:
        what = "is an MP4 or MOV whose index (moov) is missing or damaged: the recording or copy was cut off"
        return RecordingError(
            what, where=path, hint="Copy it again, or repair it with a tool such as untrunc"
        )
    what = "is not an audio or video file, or damaged at its beginning"
    hint = "Check the file; if it is not a recording, remove its row from the manifest"
    return RecordingError(what, where=path, hint=hint)


def audio_streams(container: InputContainer, path: Source) -> list[Stream]:
    """Return the audio streams, in the order of the container; `convert.audio_stream` counts them from 0.

    Raises:
        UserError: there is none, or none of a codec that can be decoded.
    """
    streams = list(container.streams.audio)
    if not streams:
        kinds = sorted({s.type for s in container.streams})
        only = f" (only {' and '.join(kinds)})" if kinds else ""
        hint = "Record again with sound, or remove its row from the manifest"
        raise RecordingError(f"has no audio stream{only}", where=path, hint=hint)
    if all(0 < _rate(stream) < LEAST_RATE for stream in streams):
        what = f"has a sample rate of {_rate(streams[0])} Hz, too low for speech"
        raise RecordingError(
            what, where=path, hint="Check the file; if it is right, remove its row from the manifest"
        )
    if not any(_decodable(stream) for stream in streams):
        hint = "Convert it to FLAC or MP3 with the program that made it"
        raise RecordingError("has audio of a codec that FFmpeg cannot decode", where=path, hint=hint)
    return streams


def _rate(stream: Stream) -> int:
    """Return the sample rate in Hz; 0 of a codec that is unknown."""
    return (stream.codec_context.sample_rate or 0) if stream.codec_context is not None else 0


def _decodable(stream: Stream) -> bool:
    return _rate(stream) >= LEAST_RATE and bool(stream.channels)


def describe(streams: list[Stream]) -> list[AudioStream]:
    """Return what the artifacts say about audio streams; `index` counts audio streams from 0."""
    return [
        AudioStream(
            index=index,
            codec=stream.codec_context.name if _decodable(stream) else "unknown",
            sample_rate=_rate(stream),
            channels=stream.channels if _decodable(stream) else 0,
            language=stream.language if stream.language not in (None, "und", "") else None,
        )
        for index, stream in enumerate(streams)
    ]


def choose_stream(streams: list[Stream], wanted: int | Literal["auto"], path: Source) -> tuple[int, str]:
    """Return the number of the audio stream to use, and why.

    `auto` takes the container's default stream; where several or none are so marked, the first of these that
    is no commentary, dubbing or the like (as players do).

    Raises:
        UserError: there is no such stream, or it cannot be decoded.
    """
    count = len(streams)
    if wanted != "auto":
        if wanted not in range(count):
            have = "1, number 0" if count == 1 else f"{count}, numbers 0 to {count - 1}"
            hint = "Set convert.audio_stream to one of these or to auto"
            what = f"has no audio stream number {wanted} (it has {have})"
            raise UserError(what, where=path, hint=hint)
        if not _decodable(streams[wanted]):
            what = f"has an audio stream number {wanted} of a codec that FFmpeg cannot decode"
            raise UserError(what, where=path, hint="Set convert.audio_stream to another number or to auto")
        return wanted, f"audio stream {wanted} of {count}, as set"
    usable = [index for index in range(count) if _decodable(streams[index])]
    if count == 1:
        return 0, "the only audio stream"

    def rank(index: int) -> tuple[bool, bool, int]:
        flags = [flag.name for flag in type(streams[index].disposition) if flag in streams[index].disposition]
        return any(flag in SIDE_STREAMS for flag in flags), "default" not in flags, index

    best = min(usable, key=rank)
    marked = [index for index in usable if not rank(index)[1]]
    reason = "marked as default" if marked == [best] else "the first suitable one"
    return best, f"audio stream {best} of {count}, {reason}"


def start_time(container: InputContainer) -> float:
    """Return where the container's clock begins, in seconds: the start of its earliest stream."""
    return container.start_time / 1e6 if container.start_time is not None else 0.0


def only(container: InputContainer, stream: Stream) -> None:
    """Tell the demuxer that just one stream is wanted, so that it need not read the video."""
    from av.stream import Discard  # noqa: PLC0415 -- heavy

    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all


def packets(container: InputContainer, *streams: Stream) -> Iterator[Packet[Any]]:
    """Yield the packets of some streams (all without any), and at its end an empty one for each stream."""
    wanted: Iterator[Packet[Any]] = container.demux(*streams)
    while True:
        try:
            packet = next(wanted, None)
        except IndexError:  # PyAV 18 at the end of a file in which further streams came to light on the way
            return
        if packet is None:
            return
        yield packet


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
            raise RecordingError(what, where=source, hint=hint)


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

    def leaves_content(self) -> bool:
        """Return whether much of the file lies behind the last packet of its only stream, and is not empty."""
        size = self.source.stat().st_size
        if not self._alone or not 0 < self._end < (1 - UNREAD) * size:
            return False
        with self.source.open("rb") as file:
            file.seek(self._end)
            return any(file.read(READ_BYTES))

    def _links(self) -> Iterator[None]:
        """Open the recording, and each that follows it in the file, one after the other."""
        waiting = headers.recordings(self.source)
        while waiting:
            source = waiting.pop(0)
            with open_media(source) as container:
                self._container = container
                self._stream = audio_streams(container, source)[self.number]
                self.clock.origin_s = start_time(container) - self.clock.position_s
                declared = max(self.expected_s, (container.duration or 0) / 1e6)
                self.clock.limit_s = (
                    self.clock.position_s + declared + tolerance_s(declared) if declared else math.inf
                )
                self.start_s = self.start_s if self.links else start_time(container)
                self.links, self._end, self._damaged = self.links + 1, 0, 0
                self._alone = self.links == len(container.streams) == 1
                self._rate = _rate(self._stream) if container.format.name in UNTIMED else 0
                yield
            if hidden := self._next(source):
                waiting.insert(0, hidden)
                self.damaged_packets -= self._damaged
                self.error = ""

    def _next(self, source: Source) -> Source | None:
        """Return the recording that follows in the same file, behind the last packet."""
        for candidate in itertools.islice(headers.following(source, self._end), CANDIDATES):
            with contextlib.suppress(UserError), open_media(candidate) as container:
                streams = audio_streams(container, candidate)
                if self.number < len(streams) and _decodable(streams[self.number]):
                    return candidate
        return None

    def _blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        import numpy as np  # noqa: PLC0415 -- heavy

        pending: list[NDArray[np.float32]] = []
        rate = held = 0
        unpack = Unpacker()
        for frame in self._frames():
            self._rate = (
                self._rate if self._rate in (0, frame.sample_rate) else -1
            )  # no time is right after that
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

        only(self._container, self._stream)
        found = packets(self._container, self._stream)
        while True:
            try:
                packet = next(found, None)
            except av.FFmpegError as error:
                if _is_unreadable(self.source, error):
                    raise
                self.error = error.strerror or str(error)  # the caller compares durations
                return
            if packet is None:
                return
            if packet.has_sidedata("encryption_info"):
                hint = "Get a copy without copy protection, or record what you hear"
                raise RecordingError("is encrypted", where=self.source, hint=hint)
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
