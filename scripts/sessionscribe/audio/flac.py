"""Read and write converted audio: 16 kHz mono FLAC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sessionscribe.audio.slices import HINT, SlicedTrack, read_exactly
from sessionscribe.core.errors import UserError
from sessionscribe.core.units import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    import soundfile
    from av import AudioFrame, AudioResampler
    from numpy.typing import NDArray


@contextmanager
def open_audio(path: Path) -> Iterator[soundfile.SoundFile | SlicedTrack]:
    """Open a converted track; on another machine it may be a folder with slices of it.

    Raises:
        UserError: the track is missing, damaged, or not 16 kHz mono.
    """
    import soundfile  # noqa: PLC0415 -- heavy

    try:
        with SlicedTrack(path) if path.is_dir() else soundfile.SoundFile(path) as file:
            if file.samplerate != SAMPLE_RATE or file.channels != 1:
                what = f"has {file.channels} channels at {file.samplerate} Hz, not 1 at {SAMPLE_RATE}"
                raise UserError(what, where=path, hint=HINT)
            yield file
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"cannot be read as audio ({error})", where=path, hint=HINT) from error


def read_samples(path: Path, start: int, stop: int, *, of: int | None = None) -> NDArray[np.float32]:
    """Return the samples `[start, stop)` of a converted track, full scale 1.0.

    Raises:
        ValueError: the samples are not inside the track.
        UserError: the file is missing or damaged, or does not have ``of`` samples.
    """
    with open_audio(path) as file:
        if of is not None and file.frames != of:
            raise UserError("has another length than its track: it was replaced", where=path, hint=HINT)
        if not 0 <= start <= stop <= file.frames:
            raise ValueError(f"[{start}, {stop}) is not inside the {file.frames} samples of {path}")
        file.seek(start)
        return read_exactly(file, stop - start, path)


def blocks(path: Path, size: int) -> Iterator[NDArray[np.float32]]:
    """Yield a converted track in blocks of `size` samples (the last one may be shorter), full scale 1.0.

    Raises:
        UserError: the file is missing or damaged, which may only show at its end.
    """
    with open_audio(path) as file:
        for start in range(0, file.frames, size):
            yield read_exactly(file, min(size, file.frames - start), path)


@dataclass
class FlacWriter:
    """A writer of 16 kHz mono 16-bit FLAC whose bytes only depend on the samples."""

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
        """Add samples ``[1, n]`` with their sample rate in Hz, which may differ from call to call."""
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
