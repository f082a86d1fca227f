"""From a source to a recording that is there, is whole as far as can be told, and has audio."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sessionscribe.artifacts.recording import AudioStream, Ingest
from sessionscribe.audio import media
from sessionscribe.config import settings
from sessionscribe.core import files
from sessionscribe.core.errors import UserError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream as Stream
    from av.container import InputContainer

GUESSED = ("aac", "ac3", "eac3", "amr", "dts", "loas", "mp3", "mpeg", "truehd")
"""Containers without a duration of their own: FFmpeg guesses it from the bit rate."""

ENDS_EARLY_S, ENDS_EARLY = 2.0, 0.005
"""A recording may end so much before its container says, in seconds or as a part of it."""
WAV_PLACEHOLDER = 0x7FFF_0000
"""From here on a WAV's length is no length."""


@dataclass(frozen=True)
class Probe:
    """What a recording is: its container, the duration of its audio in seconds, its audio streams."""

    container: str
    duration_s: float
    streams: list[AudioStream]


def probe(path: media.Source, *, exact: bool = False, audio_stream: int | Literal["auto"] = "auto") -> Probe:
    """Look at a recording.

    The duration is that of the audio stream that `audio_stream` takes, counted from the start of the
    recording: as the file says; where it does not say (a browser's webm, raw AAC) as its packets say,
    which costs one reading of the file. Rounded to a millisecond.

    Args:
        path: the file, in any container and codec that FFmpeg's libraries read.
        exact: decode the audio and count its samples (5 to 10 CPU-seconds an hour).
        audio_stream: number of the audio stream, from 0, or `auto` (see `media.choose_stream`).

    Raises:
        UserError: missing, unreadable, a folder, empty, not audio or video, an MP4 without its index, without
            audio, or nothing of the audio can be decoded.
    """
    duration = None
    with media.open_media(path) as container:
        streams = media.audio_streams(container, path)
        chosen, _ = media.choose_stream(streams, audio_stream, path)
        name, described = container.format.name, media.describe(streams)
        if not exact:
            duration = declared_duration(container, streams[chosen], path)
    if duration is None:
        duration = _counted_duration(path, chosen, decode=exact)
    if duration <= 0:
        hint = "Copy the recording again, or remove its row from the manifest"
        raise UserError("has an audio stream, but nothing in it", where=path, hint=hint)
    return Probe(container=name, duration_s=round(duration, 3), streams=described)


def check_whole(path: media.Source) -> None:
    """Read a recording to its end, as far as the container says where that is; no audio is decoded.

    Raises:
        UserError: its audio ends early, as that of a copy that is not finished; or see `probe`.
    """
    with media.open_media(path) as container:
        streams = media.audio_streams(container, path)
        chosen, _ = media.choose_stream(streams, "auto", path)
        declared = declared_duration(container, streams[chosen], path) or 0.0
    counted = _counted_duration(path, chosen, decode=False)
    if declared - counted > max(ENDS_EARLY_S, ENDS_EARLY * declared):
        what = f"ends after {counted:.0f} s and should last {declared:.0f} s"
        hint = "Copy it again; if it is all there is, `sessionscribe add` takes it"
        raise UserError(what, where=path, hint=hint)


def declared_duration(container: InputContainer, stream: Stream, path: media.Source) -> float | None:
    """Return where an audio stream ends on the container's clock (s); None if the file does not say."""
    name = container.format.name
    if name in GUESSED and not (name == "mp3" and _has_frame_count(path)):
        return None
    if "mp4" in name and _is_fragmented(path):
        return None
    if name == "wav" and (promised := _wav_bytes(path)) is not None and stream.bit_rate:
        return 8 * promised / stream.bit_rate
    if stream.duration and stream.time_base is not None:
        start = float((stream.start_time or 0) * stream.time_base)
        late = max(0.0, start - media.start_time(container)) if stream.start_time is not None else 0.0
        return late + float(stream.duration * stream.time_base)
    tag = next((value for key, value in stream.metadata.items() if key.upper() == "DURATION"), "")
    seconds = _clock(tag)
    if seconds is None and container.duration and container.duration > 0:
        seconds = container.duration / 1e6
    return seconds


def _clock(text: str) -> float | None:
    """Return `HH:MM:SS.fff` (Matroska's tag) in seconds."""
    try:
        hours, minutes, seconds = (float(part) for part in text.split(":"))
    except ValueError:
        return None
    value = 3600 * hours + 60 * minutes + seconds
    return value if math.isfinite(value) and value > 0 else None


def _has_frame_count(path: media.Source) -> bool:
    """Return whether an MP3 begins with a frame that says how many there are (Xing, Info or VBRI)."""
    with path.open("rb") as file:
        head = file.read(10)
        tag = 0
        if head[:3] == b"ID3" and len(head) == 10:
            tag = 10 + sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        file.seek(tag)
        first = file.read(4096)
    return any(mark in first for mark in (b"Xing", b"Info", b"VBRI"))


def _wav_bytes(path: media.Source) -> int | None:
    """Return how much audio a WAV's header promises, in bytes; FFmpeg silently takes what is there.

    None if it promises nothing: a streaming recorder leaves a placeholder, RF64 has its size elsewhere.
    """
    with path.open("rb") as file:
        if file.read(4) != b"RIFF":
            return None
        file.seek(12)
        while len(head := file.read(8)) == 8:
            length = int.from_bytes(head[4:], "little")
            if head[:4] == b"data":
                return length if 0 < length < WAV_PLACEHOLDER else None
            file.seek(length + length % 2, 1)
    return None


def _is_fragmented(path: media.Source) -> bool:
    """Return whether an MP4 is written in fragments, whose durations its header does not know."""
    with path.open("rb") as file:
        size = path.stat().st_size
        position = 0
        while position + 8 <= size:
            file.seek(position)
            head = file.read(16)
            length = int.from_bytes(head[:4])
            if length == 1:
                length = int.from_bytes(head[8:16])
            if head[4:8] == b"moof":
                return True
            if length < 8:
                return False
            position += length
    return False


def _counted_duration(path: media.Source, chosen: int, *, decode: bool) -> float:
    """Return the duration of audio stream `chosen` in seconds, from all its packets or from its samples."""
    import av  # noqa: PLC0415 -- heavy

    with media.open_media(path) as container:
        stream = media.audio_streams(container, path)[chosen]
        if decode:
            reader = media.Reader(container, stream, limit_s=_limit(container))
            for _ in reader.blocks():
                pass
            return reader.clock.position_s
        media.only(container, stream)
        clock = media.Clock(media.start_time(container), _limit(container))
        try:
            for packet in media.packets(container, stream):
                clock.arrive(None if packet.pts is None else float(packet.pts * packet.time_base))
                clock.position_s += float((packet.duration or 0) * packet.time_base)
        except av.FFmpegError:
            pass  # damaged from here on: what was found before counts
        return clock.position_s


def _limit(container: InputContainer) -> float:
    duration = container.duration or 0
    return duration / 1e6 + media.RESET_S if duration > 0 else math.inf


def check_checksum(path: Path, checksum: str) -> None:
    """Check that a file has the content that was added.

    Raises:
        UserError: it has another SHA-256 than `checksum`.
    """
    found = files.sha256(path)
    if found != checksum:
        what = f"has changed since it was added (SHA-256 {found[:12]}…, not {checksum[:12]}…)"
        hint = "Run `sessionscribe add` again for it, or put the old file back"
        raise UserError(what, where=path, hint=hint)


@contextlib.contextmanager
def opened(
    source: str, checksum: str, reading: settings.Ingest, log: Callable[[str], None] = print
) -> Iterator[media.Source]:
    """Yield what a recording is read from, wherever it lies, if it still has the content that was added.

    Args:
        source: as the manifest has it: a path, `remote:path`, `s3://bucket/key`, `drive-desktop:path`.
        checksum: of its content, as the manifest has it.
        reading: how remote recordings are read.
        log: takes a line of text for the log.

    Raises:
        UserError: it is not there, cannot be read, or has changed.
    """
    from sessionscribe.stages.ingest import remote as recordings  # noqa: PLC0415 -- only jobs need it

    path = recordings.local_path(source)
    if path is None:
        with recordings.opened(source, checksum, reading, log) as remote:
            yield remote
        return
    media.check_file(path)
    if checksum:
        check_checksum(path, checksum)
    yield path


def fetch_recording(
    *,
    session: str,
    track: str,
    source: str,
    checksum: str,
    duration_s: float,
    output: Path,
    reading: settings.Ingest | None = None,
    log: Callable[[str], None] = print,
) -> Ingest:
    """Check that a source is still what the manifest says, and write that down.

    Local files are not copied. A remote one is copied into the cache, where there is room: the job that
    converts it follows.

    Args:
        session: name of the session.
        track: name of the track.
        source: where the recording is, as the manifest has it (see `opened`).
        checksum: its checksum, as the manifest has it.
        duration_s: duration of its audio in seconds, as the manifest has it; it decides the number of chunks.
        output: the record to write.
        reading: how remote recordings are read.
        log: takes a line of text for the log.

    Raises:
        UserError: the file has changed, or cannot be used (see `probe`).
    """
    from sessionscribe.stages.ingest import remote as recordings  # noqa: PLC0415 -- only jobs need it

    reading = reading or settings.Ingest()
    path = recordings.local_path(source)
    fetch = recordings.fetched if path is None else opened
    with fetch(source, checksum, reading, log) as recording:
        probed = probe(recording)
        size = recording.stat().st_size
    if not checksum or duration_s <= 0:
        what = "could not be read when it was added, or was never added"
        raise UserError(what, where=source, hint="Run `sessionscribe add` for it")
    ingest = Ingest(
        session=session,
        track=track,
        source=source,
        path=str(path or source),
        size=size,
        checksum=checksum,
        container=probed.container,
        duration_s=duration_s,
        streams=probed.streams,
    )
    ingest.write(output)
    return ingest
