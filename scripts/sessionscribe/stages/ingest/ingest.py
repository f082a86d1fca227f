"""ingest: probe recordings, and check sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sessionscribe.artifacts.recording import AudioStream, Ingest
from sessionscribe.audio import containers, media
from sessionscribe.audio.reader import Limits, Reader
from sessionscribe.audio.source import Source, is_local
from sessionscribe.config import settings
from sessionscribe.core.errors import UserError

ENDS_EARLY_S, ENDS_EARLY = 2.0, 0.005
"""How much earlier than its container says a recording may end, in seconds or as a share."""


@dataclass(frozen=True)
class Probe:
    """The container of a recording, the duration of its audio in seconds, its streams and the chosen one."""

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
    """Inspect a recording.

    The duration is that of the chosen audio stream, from the start of the recording. The declared duration of
    a local file is used if its packets agree; otherwise the audio is decoded and its samples are counted. The
    missing end of a truncated file is included, so that conversion can notice it. The declared duration of a
    remote recording is used until it is converted.

    Args:
        path: the file, in any container and codec that FFmpeg reads.
        exact: whether to decode the audio and count samples (5 to 10 CPU-seconds per hour).
        audio_stream: number of the audio stream, from 0, or `auto` (see `media.choose_stream`).
        limits: how much sound a file may contain.
        count: whether the duration matters; otherwise it is the declared one, or 0.

    Raises:
        UserError: the file is missing, unreadable, not audio or video, without (decodable) audio, or claims
            more sound than it can contain.
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
        # In these formats, junk after the sound looks like packets.
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
    """Return the duration of an audio stream in seconds: declared and confirmed by packets, or counted."""
    if not exact:
        counter = Reader(path, chosen, limits=limits)
        counted = counter.count()
        if counter.recordings == 1 and declared is None:
            return counted
        agree = declared and abs(counted - declared) <= max(0.25, 0.01 * declared)
        if counter.recordings == 1 and declared and agree and not containers.is_cut_off(path):
            return declared
    reader = Reader(path, chosen, declared or 0.0, limits)
    for _ in reader.blocks():
        pass
    decoded = reader.clock.position_s
    if exact or declared is None or not reader.is_cut_off():
        return decoded
    (start, stop), size = containers.content(path) or (0, 0), path.stat().st_size
    if start < min(stop, size):
        declared = decoded * (stop - start) / (size - start)
    return max(decoded, declared)


def check_whole(path: Source) -> None:
    """Check that a recording is as long as its container says; no audio is decoded.

    Raises:
        UserError: the audio ends early, as in an unfinished copy; or see `probe`.
    """
    with media.open_media(path) as container:
        streams = media.audio_streams(container, path)
        chosen, _ = media.choose_stream(streams, "auto", path)
        declared = containers.declared_duration(container, streams[chosen], path) or 0.0
    counted = Reader(path, chosen).count()
    early = declared - counted > max(ENDS_EARLY_S, ENDS_EARLY * declared)
    if early and containers.is_cut_off(path) is not False:  # or unknown
        what = f"ends after {counted:.0f} s and should last {declared:.0f} s"
        hint = "Copy it again; if it is all there is, `sessionscribe add` takes it"
        raise UserError(what, where=path, hint=hint)


def limits_of(reading: settings.Ingest) -> Limits:
    """Return the limits for the length of recordings."""
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
    """Check that a source (see `remote.opened`) still matches the manifest, and write a record of it.

    A remote recording is copied to the cache if there is room; local files are not copied. A part of a `live`
    session may be unusable.

    Raises:
        UserError: the file has changed or is unusable (see `probe`).
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
