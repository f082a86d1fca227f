"""Whisper's log-mel spectrogram, bit-identical on every processor.

faster-whisper uses a matrix product whose order of summation depends on threads and instructions. So the last
bits of the features differ, and sometimes words, times and probabilities. Here the order of all sums is
fixed, in 64 bits, and only the result is rounded to the model's 32 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOOR = 1e-10
RANGE = 8.0
"""Values more than this many decades below the maximum are clipped, as in training."""


class Features(FeatureExtractor):  # type: ignore[misc]
    """A replacement for a loaded model's ``feature_extractor``."""

    def __init__(self, given: FeatureExtractor) -> None:
        self.__dict__.update(given.__dict__)
        self._bands = [
            [(k, band[k]) for k in np.flatnonzero(band)] for band in given.mel_filters.astype("f8")
        ]

    def __call__(
        self, waveform: NDArray[np.float32], padding: int = 160, chunk_length: int | None = None
    ) -> NDArray[np.float32]:
        """Return the features ``[bands, frames]`` of samples ``[n]``."""
        if chunk_length is not None:
            raise NotImplementedError("the model's own length only")
        samples = np.pad(waveform.astype(np.float64), (0, padding))
        window = np.hanning(self.n_fft + 1)[:-1].astype(np.float32)
        spectrum = self.stft(samples, self.n_fft, self.hop_length, window=window, return_complex=True)[:, :-1]
        power = spectrum.real**2 + spectrum.imag**2
        mel = np.zeros((len(self._bands), power.shape[1]))
        for number, band in enumerate(self._bands):
            for k, weight in band:
                mel[number] += weight * power[k]
        decades = np.log10(np.maximum(mel, FLOOR))
        clipped: NDArray[np.float64] = np.maximum(decades, decades.max() - RANGE)
        return ((clipped + 4) / 4).astype(np.float32)
