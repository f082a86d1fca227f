"""Open recordings safely with FFmpeg, and describe and choose their audio streams."""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sessionscribe.artifacts.recording import AudioStream
from sessionscribe.audio.samples import repaired
from sessionscribe.audio.source import Source
from sessionscribe.core.errors import UserError

if TYPE_CHECKING:
    from av import Packet
    from av.audio.stream import AudioStream as Stream
    from av.container import InputContainer

LEAST_RATE = 1000
"""Lowest sample rate in Hz: below it there is no speech, and a small file could claim to last for weeks."""
READ_BYTES = 1 << 20
NOT_RECORDINGS = ("concat", "dash", "ffmetadata", "hls", "imf", "lavfi", "rtp", "rtsp", "sbg", "sdp", "tty")
"""Demuxers that follow references to files or the network, play scripts, or accept any text as a picture."""
SIDE_STREAMS = ("comment", "dub", "descriptions", "hearing_impaired", "visual_impaired", "karaoke", "lyrics")
UNDECODABLE = "has an audio stream of which nothing can be decoded"
CLUSTER, FRAGMENT_BOXES = b"\x1f\x43\xb6\x75", (b"moof", b"styp", b"sidx")
"""First bytes of a slice of a stream: in Matroska, and in MP4 after four bytes."""
INDEX_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


class RecordingError(UserError):
    """A file is not a recording or cannot be decoded, so retrying does not help."""


def check_file(path: Source) -> None:
    """Check that `path` is a readable file that is not empty.

    Raises:
        UserError: it is missing, not a regular file, empty or unreadable, or its name is not valid UTF-8.
    """
    try:
        str(path).encode()
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            hint = "Name the recordings in it, or give the folder to `sessionscribe add`"
            raise UserError("is a folder, not a recording", where=path, hint=hint)
        if not stat.S_ISREG(mode):
            hint = "Write its content to a file and use that"
            raise UserError("is not a regular file", where=path, hint=hint)
        with path.open("rb") as file:
            head = file.read(16)
            if not head:
                hint = "Copy the recording again, or remove its row from the manifest"
                raise RecordingError("is empty (0 bytes)", where=path, hint=hint)
            if not any(head) and not any(file.read(READ_BYTES)):
                hint = "Copy the recording again, or remove its row from the manifest"
                raise RecordingError("contains zeros instead of a recording", where=path, hint=hint)
    except ValueError:
        raise UserError("has a name that is not valid UTF-8", where=path, hint="Rename the file") from None
    except (FileNotFoundError, NotADirectoryError):
        if isinstance(path, Path) and path.is_symlink():
            hint = "Restore that file, or remove the link"
            raise UserError("is a link to a file that does not exist", where=path, hint=hint) from None
        hint = "Restore the file, or remove its row from the manifest"
        raise UserError("does not exist", where=path, hint=hint) from None
    except PermissionError:
        hint = "Give yourself read permission (`chmod u+r`), or ask its owner"
        raise UserError("cannot be read (permission denied)", where=path, hint=hint) from None
    except OSError as error:
        hint = "Check the disk or the network share, then run again"
        raise UserError(f"cannot be read ({error.strerror})", where=path, hint=hint) from error


@cache
def _formats() -> str:
    import av  # noqa: PLC0415 -- heavy

    return ",".join(sorted(set(av.formats_available) - set(NOT_RECORDINGS)))


@contextmanager
def open_media(path: Source) -> Iterator[InputContainer]:
    """Open a recording for reading; files or URLs that it refers to are not opened.

    Raises:
        UserError: see `check_file`; also if it is not audio or video, an MP4 without its index, or FFmpeg
            fails within the `with` block.
    """
    import av  # noqa: PLC0415 -- heavy

    check_file(path)
    path = repaired(path)
    # With this prefix, a name such as `concat:a|b` is nothing but a file's name.
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
            hint = "Check whether it plays; copy it again, or convert it to FLAC with another program"
            kind = UserError if is_unreadable(path, error) else RecordingError
            raise kind(f"cannot be decoded ({error.strerror})", where=path, hint=hint) from error


def is_unreadable(path: Source, error: Exception) -> bool:
    """Return whether an error is the disk's or network's: some demuxers end a file with an I/O error."""
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
    """Return the error for a file that FFmpeg could not open."""
    if getattr(error, "errno", None) in (errno.EMFILE, errno.ENOMEM) or is_unreadable(path, error):
        hint = "Check the disk or the network share, then run again"
        return UserError(f"cannot be read ({error})", where=path, hint=hint)
    with path.open("rb") as file:
        head = file.read(12)
    what = "is not an audio or video file, or is damaged at its beginning"
    hint = "Check the file; if it is not a recording, remove its row from the manifest"
    if head[4:8] in INDEX_BOXES:
        what = "is an MP4 or MOV whose index (moov) is missing or damaged: the file is truncated"
        hint = "Copy it again, or repair it with a tool such as untrunc"
    elif head[4:8] in FRAGMENT_BOXES or head.startswith(CLUSTER):
        what = "is a slice of a stream, and only the stream's first part has the header"
        hint = "Put that part into the same folder and add the folder again"
    return RecordingError(what, where=path, hint=hint)


def undecodable(path: Source, streams: int, what: str = UNDECODABLE) -> RecordingError:
    """Return the error for a recording whose chosen audio stream, one of ``streams``, cannot be decoded."""
    hint = "Check whether it plays; copy it again, or remove its row from the manifest"
    if streams > 1:
        hint = f"Choose another of its {streams} audio streams: `sessionscribe add --audio-stream`"
    return RecordingError(what, where=path, hint=hint)


def audio_streams(container: InputContainer, path: Source) -> list[Stream]:
    """Return the audio streams in the container's order, in which `convert.audio_stream` counts them.

    Raises:
        UserError: there is none, or none can be decoded.
    """
    streams = list(container.streams.audio)
    if not streams:
        kinds = sorted({s.type for s in container.streams})
        only = f" (only {' and '.join(kinds)})" if kinds else ""
        hint = "Record again with sound, or remove its row from the manifest"
        raise RecordingError(f"has no audio stream{only}", where=path, hint=hint)
    if all(0 < sample_rate(stream) < LEAST_RATE for stream in streams):
        what = f"has a sample rate of {sample_rate(streams[0])} Hz, too low for speech"
        hint = "Check the file; if it is right, remove its row from the manifest"
        raise RecordingError(what, where=path, hint=hint)
    if not any(is_decodable(stream) for stream in streams):
        hint = "Convert it to FLAC or MP3 with the program that made it"
        raise RecordingError("has an audio codec that FFmpeg cannot decode", where=path, hint=hint)
    return streams


def sample_rate(stream: Stream) -> int:
    """Return the sample rate in Hz, or 0 if the codec is unknown."""
    return (stream.codec_context.sample_rate or 0) if stream.codec_context is not None else 0


def is_decodable(stream: Stream) -> bool:
    """Return whether FFmpeg can decode a stream and its sample rate suffices for speech."""
    return sample_rate(stream) >= LEAST_RATE and bool(stream.channels)


def describe(streams: list[Stream]) -> list[AudioStream]:
    """Return descriptions of audio streams for artifacts; `index` counts audio streams from 0."""
    return [
        AudioStream(
            index=index,
            codec=stream.codec_context.name if is_decodable(stream) else "unknown",
            sample_rate=sample_rate(stream),
            channels=stream.channels if is_decodable(stream) else 0,
            language=stream.language if stream.language not in (None, "und", "") else None,
        )
        for index, stream in enumerate(streams)
    ]


def choose_stream(streams: list[Stream], wanted: int | Literal["auto"], path: Source) -> tuple[int, str]:
    """Return the number of the audio stream to use, and the reason.

    As players do, `auto` prefers streams that are not commentary, dubbing or the like, then those marked as
    default, then the first.

    Raises:
        UserError: there is no such stream, or it cannot be decoded.
    """
    count = len(streams)
    if wanted != "auto":
        hint = "Choose another one (--audio-stream, convert.audio_stream), or none"
        if wanted not in range(count):
            have = "1, number 0" if count == 1 else f"{count}, numbers 0 to {count - 1}"
            raise UserError(f"has no audio stream number {wanted} (it has {have})", where=path, hint=hint)
        if not is_decodable(streams[wanted]):
            what = f"has an audio stream number {wanted} with a codec that FFmpeg cannot decode"
            raise UserError(what, where=path, hint=hint)
        return wanted, f"audio stream {wanted} of {count}, as set"
    usable = [index for index in range(count) if is_decodable(streams[index])]
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
    """Return the start of a container's earliest stream, in seconds."""
    return container.start_time / 1e6 if container.start_time is not None else 0.0


def only(container: InputContainer, stream: Stream) -> None:
    """Let the demuxer discard all other streams, so that it need not read the video."""
    from av.stream import Discard  # noqa: PLC0415 -- heavy

    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all


def packets(container: InputContainer, *streams: Stream) -> Iterator[Packet[Any]]:
    """Yield the packets of some streams (none given: all), and finally an empty packet for each stream."""
    # PyAV 18 raises it at the end of a file whose streams were not all found at its beginning.
    with suppress(IndexError):
        yield from container.demux(*streams)
