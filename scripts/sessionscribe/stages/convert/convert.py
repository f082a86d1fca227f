"""From any recording to 16 kHz mono FLAC, in one pass and little memory."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sessionscribe.artifacts.recording import Conversion, Ingest
from sessionscribe.audio import media
from sessionscribe.config.settings import Convert
from sessionscribe.core import files
from sessionscribe.core.errors import UserError, visible
from sessionscribe.core.units import SAMPLE_RATE, seconds
from sessionscribe.stages.ingest.ingest import check_checksum, declared_duration

if TYPE_CHECKING:
    import numpy as np
    from av import AudioFrame, AudioResampler
    from av.audio.stream import AudioStream as Stream
    from av.container import InputContainer
    from numpy.typing import NDArray

FULL_SCALE = 32_767 / 32_768
CLIPPED_SHARE = 1e-4
"""From this share of clipped samples on, the recording is flagged."""
CANCELLED_SHARE = 0.01
"""Below this share of the channels' power in their mean, the channels cancel out."""


@dataclass
class Mono:
    """Turns blocks of any number of channels into one channel, and counts what is wrong with them."""

    channel: int | Literal["mix"]
    path: media.Source
    nonfinite: int = 0
    clipped: int = 0
    counted: int = 0
    power_in: float = 0.0
    power_out: float = 0.0

    def __call__(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `block` [channels, n] as [1, n] within full scale."""
        import numpy as np  # noqa: PLC0415 -- heavy

        if self.channel != "mix":
            check_channel(self.channel, len(block), self.path)
            block = block[self.channel : self.channel + 1]
        finite = np.isfinite(block)
        if not finite.all():
            self.nonfinite += int(block.size - np.count_nonzero(finite))
            block = np.where(finite, block, np.float32(0))
        self.counted += block.size
        self.clipped += int(np.count_nonzero(np.abs(block) >= np.float32(FULL_SCALE)))
        if len(block) == 1:
            return np.clip(block, np.float32(-1), np.float32(1))
        with np.errstate(over="ignore"):  # floating-point recordings may be louder than full scale
            mean = block.mean(axis=0, keepdims=True, dtype=np.float32)
            mixed: NDArray[np.float32] = np.clip(mean, np.float32(-1), np.float32(1))
            self.power_in += float(np.vdot(block, block)) / len(block)
        self.power_out += float(np.vdot(mixed, mixed))
        return mixed


def check_channel(channel: int, channels: int, path: media.Source) -> None:
    """Check that there is a channel of that number.

    Raises:
        UserError: there is not.
    """
    if channel not in range(channels):
        have = "1, number 0" if channels == 1 else f"{channels}, numbers 0 to {channels - 1}"
        hint = "Set convert.channel to one of these or to mix"
        raise UserError(f"has no audio channel number {channel} (it has {have})", where=path, hint=hint)


@dataclass
class FlacWriter:
    """Writes 16 kHz mono 16-bit FLAC whose bytes depend on the samples only."""

    path: Path
    samples: int = 0
    peak: float = 0.0
    _rate: int = 0
    _resampler: AudioResampler | None = None

    def __enter__(self) -> FlacWriter:
        import av  # noqa: PLC0415 -- heavy

        bitexact = {"flags": "+bitexact", "compression_level": "5"}
        self._file = self.path.open("wb")
        self._container = av.open(self._file, "w", format="flac", options={"fflags": "+bitexact"})
        self._stream = self._container.add_stream("flac", SAMPLE_RATE, bitexact, layout="mono", format="s16")
        return self

    def write(self, rate: int, block: NDArray[np.float32]) -> None:
        """Add samples [1, n] of a sample rate in Hz; the rate may change from call to call."""
        import av  # noqa: PLC0415 -- heavy

        if rate != self._rate or self._resampler is None:
            self._flush()
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
            self._rate = rate
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
        frame.sample_rate = rate
        self._resample(self._resampler, frame)

    def _resample(self, resampler: AudioResampler, frame: AudioFrame | None) -> None:
        for part in resampler.resample(frame):
            array = part.to_ndarray()
            self.samples += part.samples
            self.peak = max(self.peak, float(abs(array.astype("int32")).max(initial=0)) / 32_768)
            part.pts = None
            self._container.mux(self._stream.encode(part))

    def _flush(self) -> None:
        if self._resampler is not None:
            self._resample(self._resampler, None)

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._flush()
                self._container.mux(self._stream.encode(None))
                self._container.close()
        finally:
            self._file.close()


def convert_audio(
    *,
    ingest: Ingest,
    options: Convert,
    audio: Path,
    record: Path,
    source: media.Source | None = None,
    log: Callable[[str], None] = print,
) -> Conversion:
    """Convert a recording to 16 kHz mono 16-bit FLAC; the same recording and options give the same bytes.

    Times stay those of a player: late sound and holes in the timestamps of more than 50 ms become silence.
    What is wrong with the recording but can be lived with (clipping, samples that are no numbers, damaged
    packets, holes, channels that cancel out) is counted, logged and listed in the record.

    Args:
        ingest: the recording.
        options: which audio stream and channel to take.
        audio: the FLAC to write.
        record: what was done, to write beside it, after it.
        source: what to read, known to have the right content; without one the file that `ingest` names, whose
            checksum is compared first.
        log: takes a line of text for the log.

    Raises:
        UserError: the recording cannot be opened or decoded, has no such stream or channel, is more than 2 s
            and 2 % shorter than the manifest says, or the disk is full.
    """
    if source is None:
        source = Path(ingest.path)
        media.check_file(source)
        check_checksum(source, ingest.checksum)
    try:
        with files.atomic_path(audio) as temporary:
            conversion = _convert(ingest, source, options, temporary, log)
        conversion.write(record)
    except OSError as error:
        raise _disk_error(error, source, audio) from error
    for warning in conversion.warnings:
        log(f"{visible(str(source))}: warning: {warning}")
    return conversion


def _convert(
    ingest: Ingest, source: media.Source, options: Convert, temporary: Path, log: Callable[[str], None]
) -> Conversion:
    with media.open_media(source) as container:
        streams = media.audio_streams(container, source)
        number, choice = media.choose_stream(streams, options.audio_stream, source)
        stream = media.describe(streams)[number]
        channel = f"mean of {stream.channels}" if stream.channels > 1 else "the only one"
        if options.channel != "mix":
            check_channel(options.channel, stream.channels, source)
            channel = f"number {options.channel} of {stream.channels}"
        described = f"{stream.codec}, {stream.sample_rate} Hz, {stream.language or 'no language given'}"
        log(f"{visible(str(source))}: {choice} ({described}), channel: {channel}")
        expected = _expected_s(container, streams[number], ingest, number, source)
        reader = media.Reader(container, streams[number], limit_s=expected + _tolerance_s(expected))
        mono = Mono(options.channel, source)
        with FlacWriter(temporary) as writer:
            for rate, block in reader.blocks():
                writer.write(rate, mono(block))
    if not mono.counted or not writer.samples:
        hint = "Check that it plays; copy it again, or remove its row from the manifest"
        raise UserError("has an audio stream, but nothing of it can be decoded", where=source, hint=hint)
    warnings = _warnings(reader, mono)
    if writer.peak == 0:
        warnings.append("silent from beginning to end")
    short = expected - writer.samples / SAMPLE_RATE
    if short > _tolerance_s(expected):
        if not _other_streams_reach(source, expected - _tolerance_s(expected)):
            what = f"is truncated: {seconds(writer.samples)} of {expected:.3f} s could be decoded"
            hint = "Copy it again, or accept what is there with `sessionscribe add --exact`"
            raise UserError(what, where=source, hint=hint)
        warnings.append(f"the sound ends {short:.1f} s before the recording does")
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
    )


def _tolerance_s(duration_s: float) -> float:
    return max(2.0, 0.02 * duration_s)


def _expected_s(
    container: InputContainer, stream: Stream, record: Ingest, number: int, source: media.Source
) -> float:
    """Return how long the audio should be, in seconds; the manifest knows it for one stream."""
    auto, _ = media.choose_stream(media.audio_streams(container, source), "auto", source)
    if number == auto:
        return record.duration_s
    declared = declared_duration(container, stream, source)
    return record.duration_s if declared is None else min(declared, record.duration_s)


def _other_streams_reach(source: media.Source, time_s: float) -> bool:
    """Return whether the recording has video or subtitles later than `time_s`, so that it is whole."""
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


def _warnings(reader: media.Reader, mono: Mono) -> list[str]:
    warnings = []
    clock = reader.clock
    if reader.damaged_packets:
        warnings.append(f"{reader.damaged_packets} damaged packets skipped")
    if reader.error:
        warnings.append(f"cannot be read to its end ({reader.error})")
    if clock.gaps:
        warnings.append(f"{clock.gaps} holes filled with {clock.filled_s:.3f} s of silence")
    if clock.jumps:
        warnings.append(f"the recording's clock jumps {clock.jumps} times; times after a jump may be off")
    if mono.nonfinite:
        warnings.append(f"{mono.nonfinite} samples that are no numbers replaced by silence")
    if mono.clipped > CLIPPED_SHARE * mono.counted:
        share = 100 * mono.clipped / mono.counted
        warnings.append(f"clipped: {share:.2f} % of the samples are at full scale")
    if mono.power_out < CANCELLED_SHARE * mono.power_in:
        warnings.append("the channels cancel each other out: set convert.channel to 0")
    return warnings


def _disk_error(error: OSError, source: media.Source, audio: Path) -> UserError:
    """Return what to tell the user about an error of the file system."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(audio.parent).free / 1e6
        what = f"no space left for the converted audio ({free:.1f} MB free; 1 hour takes about 60 MB)"
        hint = "Make room there, then run again: what is finished stays"
        return UserError(what, where=audio.parent, hint=hint)
    where = error.filename or source
    hint = "Check the disk or the network share, then run again"
    return UserError(f"cannot be read or written ({error.strerror or error})", where=where, hint=hint)
