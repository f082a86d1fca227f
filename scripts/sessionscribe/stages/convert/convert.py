"""convert: from any recording to 16 kHz mono FLAC, in one pass and little memory."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

from sessionscribe.artifacts.recording import AudioStream, Conversion, Ingest
from sessionscribe.audio import containers, media, stream_parts
from sessionscribe.audio.flac import FlacWriter
from sessionscribe.audio.reader import Limits, Reader
from sessionscribe.audio.source import Source
from sessionscribe.config import settings
from sessionscribe.config.settings import Convert
from sessionscribe.core import files
from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.text import counted
from sessionscribe.core.units import SAMPLE_RATE, seconds, tolerance_s
from sessionscribe.stages.convert.mono import CLIPPED_SHARE, HUM_HZ, NOTED_SHARE, Mono
from sessionscribe.stages.ingest.ingest import limits_of
from sessionscribe.stages.ingest.remote import opened


def convert_audio(
    *,
    ingest: Ingest,
    options: Convert,
    audio: Path,
    record: Path,
    reading: settings.Ingest | None = None,
    live: bool = False,
    header: tuple[str, str] | None = None,
    log: Callable[[str], None] = print,
) -> Conversion:
    """Convert a recording to 16 kHz mono 16-bit FLAC; the same recording and options give the same bytes.

    Times are those of a player: sound that starts late and holes of more than 50 ms in the timestamps become
    silence. Harmless defects (clipping, invalid samples, damaged packets, holes, channels that cancel out)
    are logged and noted in the record, which is written last. A part of a `live` session may be truncated or
    unusable. `header` is the source and checksum of the part with the header of the stream of a slice.

    Raises:
        UserError: the recording is missing, has changed, cannot be decoded, lacks the stream or channel, or
            is truncated by more than 2 s and 2 %.
    """
    reading = reading or settings.Ingest()
    try:
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(opened(ingest.source, ingest.checksum, reading, log))
            head = stack.enter_context(opened(*header, reading, log)) if header else None
            temporary = stack.enter_context(files.atomic_path(audio))
            limits = limits_of(reading)
            conversion = _convert(
                ingest, source, options, temporary, limits=limits, log=log, header=head, live=live
            )
    except media.RecordingError as error:
        if not live:
            raise
        log(str(error))
        missing = error.what
        with contextlib.suppress(UserError), opened(ingest.source, ingest.checksum, reading, log) as source:
            if stream_parts.is_header(source, stream_parts.header_of(source)):
                missing = ""
        conversion = _write_missing(ingest, audio, missing)
    conversion.write(record)
    for warning in conversion.warnings:
        log(f"{visible(ingest.source)}: warning: {warning}")
    return conversion


def _convert(
    ingest: Ingest,
    source: Source,
    options: Convert,
    temporary: Path,
    *,
    limits: Limits,
    log: Callable[[str], None],
    header: Source | None,
    live: bool,
) -> Conversion:
    times_count = False
    if header is not None:
        source, times_count = stream_parts.with_header(source, stream_parts.header_of(header))
    with media.open_media(source) as container:
        streams = media.audio_streams(container, source)
        number, choice = media.choose_stream(streams, options.audio_stream, source)
        stream = media.describe(streams)[number]
        channel = f"mean of {stream.channels}" if stream.channels > 1 else "the only one"
        if options.channel != "mix":
            channel = f"number {options.channel} of {stream.channels}"
        described = f"{stream.codec}, {stream.sample_rate} Hz, {stream.language or 'no language given'}"
        log(f"{visible(str(source))}: {choice} ({described}), channel: {channel}")
        declared = containers.declared_duration(container, streams[number], source)
        auto, _ = media.choose_stream(streams, "auto", source)
        # The duration in the manifest is that of stream `auto`; others may be shorter.
        expected = ingest.duration_s if number == auto else min(declared or math.inf, ingest.duration_s)
    decode = functools.partial(Reader, source, number, expected, limits)
    reader, mono = decode(), Mono(options.channel, source)
    writer = _write(reader, mono, temporary)
    while (needed := mono.needed) != mono.correction:
        reader, mono = decode(), Mono(options.channel, source, needed)
        writer = _write(reader, mono, temporary)
    decoded, damaged = reader.decoded_packets, reader.damaged_packets
    if not writer.samples:
        raise media.undecodable(source, len(streams))
    if damaged > decoded:
        what = f"can hardly be decoded: {damaged} of {decoded + damaged} packets are damaged or encrypted"
        raise media.undecodable(source, len(streams), what)
    warnings = list(_warnings(reader, mono, writer))
    missing = ""
    found = writer.samples / SAMPLE_RATE
    short, tolerance = expected - found, tolerance_s(expected)
    nothing_tells = not live and reader.recordings == 1 and containers.is_cut_off(source) is None
    if short > tolerance:
        if _other_streams_reach(source, expected - tolerance):
            warnings.append(f"the sound ends {short:.1f} s before the recording does")
        elif declared is not None and reader.is_cut_off():
            missing = f"is truncated: {seconds(writer.samples)} of {expected:.3f} s could be decoded"
            if not live:
                hint = "Copy it again, or accept what is there with `sessionscribe add --exact`"
                raise media.RecordingError(missing, where=source, hint=hint)
        else:
            warnings.append(f"{short:.1f} s shorter than in the manifest ({expected:.1f} s)")
    elif -short > tolerance:
        warnings.append(f"{-short:.1f} s longer than in the manifest ({expected:.1f} s)")
    elif nothing_tells and declared is not None and declared - found > tolerance_s(declared):
        warnings.append(f"claims to last {declared:.1f} s but contains {found:.1f} s")
    return Conversion(
        session=ingest.session,
        track=ingest.track,
        samples=writer.samples,
        stream=stream,
        choice=choice,
        channel=channel,
        clipped_samples=mono.clipped,
        nonfinite_samples=mono.nonfinite,
        peak=round(writer.peak, 6),
        warnings=warnings,
        missing=missing,
        missing_s=round(short, 3) if missing else 0.0,
        starts_s=round(max(0.0, reader.start_s), 6) if times_count else None,
    )


def _write_missing(ingest: Ingest, audio: Path, why: str) -> Conversion:
    """Write one sample of silence for an unusable part; ``why`` says why it is missing."""
    import numpy as np  # noqa: PLC0415 -- heavy

    with files.atomic_path(audio) as temporary, FlacWriter(temporary) as writer:
        writer.write(SAMPLE_RATE, np.zeros((1, 1), np.float32))
    return Conversion(
        session=ingest.session,
        track=ingest.track,
        samples=1,
        stream=AudioStream(index=0, codec="unknown", sample_rate=0, channels=0),
        choice="none",
        channel="none",
        peak=0.0,
        missing=why,
        missing_s=ingest.duration_s,
    )


def _other_streams_reach(source: Source, time_s: float) -> bool:
    """Return whether video or subtitles continue beyond `time_s`, so that the recording is complete."""
    import av  # noqa: PLC0415 -- heavy

    with media.open_media(source) as container:
        if len(container.streams) < 2:
            return False
        start = media.start_time(container)
        try:
            container.seek(int((start + time_s) * 1e6))
            for packet in media.packets(container):
                stamp = packet.pts if packet.pts is not None else packet.dts
                if stamp is not None and float(stamp * packet.time_base) - start >= time_s:
                    return True
        except av.FFmpegError:
            return False
    return False


def _write(reader: Reader, mono: Mono, target: Path) -> FlacWriter:
    """Write a recording as mono FLAC."""
    with FlacWriter(target) as writer:
        for rate, block in reader.blocks():
            writer.write(rate, mono(rate, block))
    return writer


def _warnings(reader: Reader, mono: Mono, writer: FlacWriter) -> Iterator[str]:
    clock, correction = reader.clock, mono.correction
    if correction.gain > 1:
        level = f"{mono.level_db:.0f} dB of full scale"
        yield f"very quiet ({level}): amplified by {20 * math.log10(correction.gain):.0f} dB"
    if correction.gain < 1:
        yield f"reaches {mono.peak:.3g} times full scale: scaled down"
    if correction.filtered:
        yield f"mostly hum: everything below {HUM_HZ} Hz was filtered out"
    if reader.damaged_packets:
        yield f"{counted(reader.damaged_packets, 'damaged packet')} skipped"
    if reader.error:
        yield f"cannot be read to its end ({reader.error})"
    if reader.recordings > 1:
        yield f"{reader.recordings} recordings follow one another in the file; all were read"
    if clock.gaps:
        yield f"{counted(clock.gaps, 'hole')} filled with {clock.filled_s:.3f} s of silence"
    if clock.jumps:
        yield f"the recording's clock jumps {counted(clock.jumps, 'time')}; later times may be off"
    if mono.nonfinite:
        yield f"{counted(mono.nonfinite, 'sample')} without a number replaced by silence"
    if mono.clipped > CLIPPED_SHARE * mono.counted:
        share = 100 * mono.clipped / mono.counted
        yield f"clipped: {share:.2f} % of the samples are at full scale"
    if mono.cancelled > NOTED_SHARE * mono.power_in:
        yield "the channels cancel each other out: where they do, only one of them is used"
    if writer.peak == 0:
        yield "silent from beginning to end"
