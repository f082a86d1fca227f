"""From a source to a recording that is there, is whole as far as can be told, and has audio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sessionscribe.artifacts.recording import AudioStream, Ingest
from sessionscribe.audio import containers, media
from sessionscribe.audio.reader import Limits, Reader
from sessionscribe.audio.samples import samples
from sessionscribe.audio.source import Source, is_local
from sessionscribe.config import settings
from sessionscribe.core.errors import UserError

ENDS_EARLY_S, ENDS_EARLY = 2.0, 0.005
"""A recording may end so much before its container says, in seconds or as a part of it."""


@dataclass(frozen=True)
class Probe:
    """What a recording is: container, duration of its audio in seconds, audio streams and the one to use."""

    container: str
    duration_s: float
    streams: list[AudioStream]
    chosen: int = 0


def probe(
    path: Source,
    *,
    exact: bool = False,
    audio_stream: int | Literal["auto"] = "auto",
    limits: Limits | None = None,
    count: bool = True,
) -> Probe:
    """Look at a recording.

    The duration is that of the audio stream that `audio_stream` takes, counted from the start of the
    recording, rounded to a millisecond. What a local file says is believed if its packets say the same (one
    reading of the file); else the audio is decoded and its samples are counted. What of a file that was cut
    off is missing is part of the duration, so that conversion can tell. Of a remote recording, of which only
    parts are read, a duration that it states is believed until it is converted.

    Args:
        path: the file, in any container and codec that FFmpeg's libraries read.
        exact: decode the audio and count its samples (5 to 10 CPU-seconds an hour).
        audio_stream: number of the audio stream, from 0, or `auto` (see `media.choose_stream`).
        limits: how much sound there may be.
        count: whether the duration matters; if not, it is what the file says, or 0.

    Raises:
        UserError: missing, unreadable, a folder, empty, not audio or video, an MP4 without its index, without
            audio, more sound than the file can hold, or nothing of the audio can be decoded.
    """
    limits = limits or Limits()
    with media.open_media(path) as container:
        streams = media.audio_streams(container, path)
        chosen, _ = media.choose_stream(streams, audio_stream, path)
        name, described = container.format.name, media.describe(streams)
        declared = None if exact else containers.declared_duration(container, streams[chosen], path)
    if not count:
        return Probe(name, declared or 0.0, described, chosen)
    if declared is None or is_local(path):
        # Junk behind the sound counts as packets.
        exact = exact or (declared is None and name in containers.GUESSED)
        duration = _proven_duration(path, chosen, declared, limits, exact=exact)
    else:
        duration = declared
        limits.check(duration, path)
    if duration <= 0:
        raise media.undecodable(path, len(streams))
    return Probe(name, round(duration, 3), described, chosen)


def _proven_duration(
    path: Source,
    chosen: int,
    declared: float | None,
    limits: Limits,
    *,
    exact: bool,
) -> float:
    """Return the duration of an audio stream in seconds: as two sources say, or as counted."""
    if not exact:
        counter = Reader(path, chosen, limits=limits)
        counted = counter.count()
        if counter.links == 1 and declared is None:
            return counted
        if counter.links == 1 and declared and abs(counted - declared) <= max(0.25, 0.01 * declared):
            return declared
    reader = Reader(path, chosen, declared or 0.0, limits)
    for _ in reader.blocks():
        pass
    decoded = reader.clock.position_s
    if exact or declared is None or not reader.is_cut_off():
        return decoded
    found, size = samples(path), path.stat().st_size
    if found and found.promised and size > found.start:  # of plain samples, what is missing is known
        return max(decoded, decoded * found.promised / (size - found.start))
    return max(decoded, declared)


def check_whole(path: Source) -> None:
    """Read a recording to its end, as far as the container says where that is; no audio is decoded.

    Raises:
        UserError: its audio ends early, as that of a copy that is not finished; or see `probe`.
    """
    with media.open_media(path) as container:
        streams = media.audio_streams(container, path)
        chosen, _ = media.choose_stream(streams, "auto", path)
        declared = containers.declared_duration(container, streams[chosen], path) or 0.0
    counted = Reader(path, chosen).count()
    early = declared - counted > max(ENDS_EARLY_S, ENDS_EARLY * declared)
    if early and containers.is_cut_off(path) is not False:  # where nothing tells, it is waited for
        what = f"ends after {counted:.0f} s and should last {declared:.0f} s"
        hint = "Copy it again; if it is all there is, `sessionscribe add` takes it"
        raise UserError(what, where=path, hint=hint)


def limits_of(reading: settings.Ingest) -> Limits:
    """Return how much sound recordings may hold."""
    return Limits(reading.max_hours_per_mb, reading.max_gap_h)


def fetch_recording(
    *,
    session: str,
    track: str,
    source: str,
    checksum: str,
    duration_s: float,
    output: Path,
    reading: settings.Ingest | None = None,
    live: bool = False,
    log: Callable[[str], None] = print,
) -> Ingest:
    """Check that a source is still what the manifest says, and write that down.

    Local files are not copied. A remote one is copied into the cache, where there is room: the job that
    converts it follows.

    Args:
        session: name of the session.
        track: name of the track.
        source: where the recording is, as the manifest has it (see `remote.opened`).
        checksum: its checksum, as the manifest has it.
        duration_s: duration of its audio in seconds, as the manifest has it; it decides the number of chunks.
        output: the record to write.
        reading: how remote recordings are read.
        live: whether it is a part of a live session, which may be unusable: its conversion says why.
        log: takes a line of text for the log.

    Raises:
        UserError: the file has changed, or cannot be used (see `probe`).
    """
    from sessionscribe.stages.ingest import remote  # noqa: PLC0415 -- only jobs need it

    size, probed = 0, Probe("", duration_s, [])
    try:
        with remote.opened(source, checksum, reading or settings.Ingest(), log, ahead=True) as recording:
            size = recording.stat().st_size
            probed = probe(recording, count=False)
    except media.RecordingError as error:
        if not live:
            raise
        log(str(error))
    if not live and (not checksum or duration_s <= 0):
        what = "could not be read when it was added, or was never added"
        raise UserError(what, where=source, hint="Run `sessionscribe add` for it")
    ingest = Ingest(
        session=session,
        track=track,
        source=source,
        path=str(remote.local_path(source) or source),
        size=size,
        checksum=checksum,
        container=probed.container,
        duration_s=duration_s,
        streams=probed.streams,
    )
    ingest.write(output)
    return ingest
