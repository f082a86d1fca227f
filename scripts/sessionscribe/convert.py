"""From any recording to 16 kHz mono FLAC, in one pass and little memory."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sessionscribe import files, ingest, media
from sessionscribe.artifacts import SAMPLE_RATE, Conversion, Ingest, seconds
from sessionscribe.config import Convert
from sessionscribe.errors import UserError

if TYPE_CHECKING:
    import numpy as np
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
    path: Path
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
        # A float recording may be louder than full scale: what converts to 16 bit is clipped here, not wrapped.
        block = np.clip(block, -1, 1)
        mixed = block.mean(axis=0, keepdims=True, dtype=np.float32)
        if len(block) > 1:
            self.power_in += float(np.square(block, dtype=np.float64).mean(axis=0).sum())
            self.power_out += float(np.square(mixed, dtype=np.float64).sum())
        return mixed


def check_channel(channel: int, channels: int, path: Path) -> None:
    """Check that there is a channel of that number.

    Raises:
        UserError: there is not.
    """
    if channel not in range(channels):
        have = "1 channel, number 0" if channels == 1 else f"{channels} channels, numbers 0 to {channels - 1}"
        hint = "Set convert.channel to one of these or to mix"
        raise UserError(f"has no audio channel number {channel}: it has {have}", where=path, hint=hint)


@dataclass
class FlacWriter:
    """Writes 16 kHz mono 16-bit FLAC whose bytes depend on the samples only."""

    path: Path
    samples: int = 0
    peak: float = 0.0
    _rate: int = 0
    _resampler: object = field(default=None)

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

        if rate != self._rate:
            self._flush()
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
            self._rate = rate
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
        frame.sample_rate = rate
        self._resample(frame)

    def _resample(self, frame: object) -> None:
        for part in self._resampler.resample(frame):
            array = part.to_ndarray()
            self.samples += part.samples
            self.peak = max(self.peak, float(abs(array.astype("int32")).max(initial=0)) / 32_768)
            part.pts = None
            self._container.mux(self._stream.encode(part))

    def _flush(self) -> None:
        if self._resampler is not None:
            self._resample(None)

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._flush()
                self._container.mux(self._stream.encode(None))
                self._container.close()
        finally:
            self._file.close()


def convert_audio(
    *, ingest: Ingest, options: Convert, audio: Path, record: Path, log: Callable[[str], None] = print
) -> Conversion:
    """Convert a recording."""
    raise NotImplementedError
