"""Recordings as FFmpeg's libraries see them: opening them safely, and reading their audio in blocks.

`ingest` and `convert` share what is here, so that a duration that was probed exactly is the duration that
conversion gives.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from sessionscribe.artifacts.recording import AudioStream
from sessionscribe.core.errors import UserError

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
"""A longer hole (in seconds) is taken for a broken clock."""
SAFE_PLANES = 8
BLOCK_S = 1.0
FILL_BLOCK_S = 10.0
NOT_RECORDINGS = ("concat", "dash", "ffmetadata", "hls", "imf", "lavfi", "rtp", "rtsp", "sdp", "tty")
"""Demuxers that follow references to other files or the net, or that take any text for a picture."""
SIDE_STREAMS = ("comment", "dub", "descriptions", "hearing_impaired", "visual_impaired", "karaoke", "lyrics")
INDEX_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


class Source(Protocol):
    """What a recording is read from: a path, or what opens as one does (a recording on a remote)."""

    def open(self, mode: Literal["rb"], /) -> io.BufferedReader:
        """Open it for reading, from its first byte on."""
        ...

    def stat(self) -> os.stat_result:
        """Return its size and kind."""
        ...


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
                raise UserError("is empty (0 bytes)", where=path, hint=hint)
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
            raise UserError(f"cannot be decoded ({error.strerror})", where=path, hint=hint) from error


def _refusal(path: Source, error: Exception) -> UserError:
    """Return what to tell the user about a file that could not be opened."""
    if getattr(error, "errno", None) in (errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENOMEM):
        hint = "Check the disk or the network share, then run again"
        return UserError(f"cannot be read ({error})", where=path, hint=hint)
    with path.open("rb") as file:
        is_mp4 = file.read(12)[4:8] in INDEX_BOXES
    if is_mp4:
        what = "is an MP4 or MOV whose index (moov) is missing or damaged: the recording or copy was cut off"
        return UserError(what, where=path, hint="Copy it again, or repair it with a tool such as untrunc")
    what = "is not an audio or video file, or damaged at its beginning"
    hint = "Check the file; if it is not a recording, remove its row from the manifest"
    return UserError(what, where=path, hint=hint)


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
        raise UserError(f"has no audio stream{only}", where=path, hint=hint)
    if not any(_decodable(stream) for stream in streams):
        hint = "Convert it to FLAC or MP3 with the program that made it"
        raise UserError("has audio of a codec that FFmpeg cannot decode", where=path, hint=hint)
    return streams


def _decodable(stream: Stream) -> bool:
    context = stream.codec_context
    return context is not None and bool(stream.sample_rate) and bool(stream.channels)


def describe(streams: list[Stream]) -> list[AudioStream]:
    """Return what the artifacts say about audio streams; `index` counts audio streams from 0."""
    return [
        AudioStream(
            index=index,
            codec=stream.codec_context.name if _decodable(stream) else "unknown",
            sample_rate=stream.sample_rate or 0,
            channels=stream.channels or 0,
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
    """

    origin_s: float
    limit_s: float
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
        if ahead < 0 or ahead > MAX_GAP_S or self.position_s + ahead > self.limit_s:
            self.origin_s += ahead
            self.jumps += 1
            return 0.0
        self.gaps += 1
        self.filled_s += ahead
        self.position_s += ahead
        return ahead


@dataclass
class Reader:
    """Reads one audio stream in blocks on the container's clock.

    Audio that begins after the container's start (a video whose sound comes in late) and holes in the
    timestamps of more than `GAP_S` (packets that a recorder lost) become silence, so that every time is the
    time that a player shows. Packets that cannot be decoded are skipped and counted.

    Args:
        container: the open recording.
        stream: one of its audio streams.
        limit_s: silence is never filled in beyond this time, in seconds.
    """

    container: InputContainer
    stream: Stream
    limit_s: float
    clock: Clock = field(init=False)
    damaged_packets: int = 0
    error: str = ""

    def __post_init__(self) -> None:
        self.clock = Clock(start_time(self.container), self.limit_s)

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield (sample rate, samples [channels, n], full scale 1.0) in order, about a second at a time."""
        import numpy as np  # noqa: PLC0415 -- heavy

        pending: list[NDArray[np.float32]] = []
        rate = held = 0
        unpack = Unpacker()
        for frame in self._frames():
            gap = self.clock.arrive(frame.time)
            samples = unpack(frame)
            changed = bool(pending) and (frame.sample_rate != rate or len(samples) != len(pending[0]))
            if pending and (gap or changed or held >= rate * BLOCK_S):
                yield rate, np.concatenate(pending, axis=1)
                pending, held = [], 0
            rate = frame.sample_rate
            missing = round(gap * rate)
            while missing > 0:
                piece = min(missing, round(FILL_BLOCK_S * rate))
                yield rate, np.zeros((len(samples), piece), np.float32)
                missing -= piece
            pending.append(samples)
            held += samples.shape[1]
            self.clock.position_s += samples.shape[1] / rate
        if pending:
            yield rate, np.concatenate(pending, axis=1)

    def _frames(self) -> Iterator[AudioFrame]:
        import av  # noqa: PLC0415 -- heavy

        only(self.container, self.stream)
        found = packets(self.container, self.stream)
        while True:
            try:
                packet = next(found, None)
            except av.FFmpegError as error:
                if error.errno in (errno.EIO, errno.ESTALE):
                    raise
                self.error = str(error)  # what comes after cannot be found; the caller compares durations
                return
            if packet is None:
                return
            try:
                frames = self.stream.codec_context.decode(packet)
            except av.EOFError:
                return
            except av.FFmpegError:
                self.damaged_packets += 1
                continue
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
