"""Signal processing that the generators share; sounds are samples, shape (samples,) at 16 kHz."""

from __future__ import annotations

import numpy as np

from demo_models.media import SAMPLE_RATE, Audio


def levelled(audio: Audio, level_db: float) -> Audio:
    """Return the sound at a level (RMS, dB of full scale), clipped where it does not fit."""
    rms = float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))
    return np.clip(audio * np.float32(10 ** (level_db / 20) / max(rms, 1e-9)), -1, 1).astype(np.float32)


def resample(audio: Audio, factor: float) -> Audio:
    """Return ``factor`` times as many samples of the same sound, band-limited."""
    size = round(len(audio) * factor)
    spectrum = np.fft.rfft(audio)
    fitted = np.zeros(size // 2 + 1, dtype=spectrum.dtype)
    shared = min(len(spectrum), len(fitted))
    fitted[:shared] = spectrum[:shared]
    return (np.fft.irfft(fitted, size) * factor).astype(np.float32)


def filtered(audio: Audio, low_hz: float, high_hz: float) -> Audio:
    """Return what lies between two frequencies."""
    spectrum = np.fft.rfft(audio)
    frequency = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    spectrum[(frequency < low_hz) | (frequency > high_hz)] = 0
    return np.fft.irfft(spectrum, len(audio)).astype(np.float32)


def convolve(audio: Audio, response: Audio) -> Audio:
    """Return the sound as heard through a response, as long as the sound."""
    size = len(audio) + len(response)
    return np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(response, size), size)[: len(audio)].astype(
        np.float32
    )


def stretched(audio: Audio, pace: float, frame: int = 640, search: int = 160) -> Audio:
    """Return the sound ``pace`` times as fast at the same pitch (WSOLA: overlapped frames that fit)."""
    hop = frame // 2
    window = np.hanning(frame + 1)[:frame].astype(np.float32)
    count = int((len(audio) - frame - search) / (hop * pace))
    out = np.zeros(count * hop + frame, dtype=np.float32)
    padded = np.concatenate(
        [
            np.zeros(search, np.float32),
            audio,
            np.zeros(frame + hop + search, np.float32),
        ]
    )
    expected = padded[search : search + frame]
    for index in range(count):
        around = padded[round(index * hop * pace) :][: frame + 2 * search]
        best = int(np.argmax(np.correlate(around, expected, "valid")))
        start = round(index * hop * pace) + best
        out[index * hop : index * hop + frame] += window * padded[start : start + frame]
        expected = padded[start + hop : start + hop + frame]
    return out
