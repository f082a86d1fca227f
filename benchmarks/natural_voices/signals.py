"""Signal processing for the generators; sounds are samples, shape (samples,) at 16 kHz."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .media import SAMPLE_RATE, Audio, filter_frames


def levelled(audio: Audio, level_db: float) -> Audio:
    """Return the sound at a level (RMS, dB of full scale), clipped to full scale."""
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
    """Return the sound, limited to the frequencies between two."""
    spectrum = np.fft.rfft(audio)
    frequency = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE)
    spectrum[(frequency < low_hz) | (frequency > high_hz)] = 0
    return np.fft.irfft(spectrum, len(audio)).astype(np.float32)


def convolve(audio: Audio, response: Audio) -> Audio:
    """Return the convolution with an impulse response, cut to the length of the sound."""
    size = len(audio) + len(response)
    return np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(response, size), size)[: len(audio)].astype(
        np.float32
    )


def stretched(audio: Audio, pace: float) -> Audio:
    """Return the sound ``pace`` times (at least 0.5) as fast at the same pitch."""
    frames = filter_frames(audio, "abuffersink", atempo={"tempo": str(pace)}, aformat={"sample_fmts": "flt"})
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def noise_floor(samples: int, level_db: float, seed: int) -> Audio:
    """Stationary noise, half white, half low-passed, RMS `level_db` dB full scale; shape (samples,)."""
    rng = np.random.default_rng(seed)
    white = rng.standard_normal(samples + 15, dtype=np.float32)
    cumulative = np.cumsum(white, dtype=np.float64)
    soft = np.empty(samples, dtype=np.float32)
    soft[:] = (cumulative[15:] - np.concatenate(([0.0], cumulative[: samples - 1]))) / 4
    noise: Audio = (white[:samples] + soft) * np.float32(10 ** (level_db / 20) / np.sqrt(2))
    return noise


def merge_intervals(intervals: Iterable[tuple[float, float]], gap: float) -> list[tuple[float, float]]:
    """Sort intervals and join those that overlap or lie less than `gap` apart."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted(intervals):
        if merged and start - merged[-1][1] < gap:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def speech_intervals(audio: Audio, floor_db: float = -38.0, hop_s: float = 0.01) -> list[tuple[float, float]]:
    """Stretches of a clean utterance above its own loudest part plus `floor_db`, in seconds.

    Gaps below 0.1 s (closures of stops) are closed, blips below 0.03 s dropped.
    """
    hop = round(hop_s * SAMPLE_RATE)
    frames = len(audio) // hop
    if frames == 0:
        return []
    energy = np.square(audio[: frames * hop].reshape(frames, hop)).mean(axis=1)
    loud = energy > max(float(np.quantile(energy, 0.95)) * 10 ** (floor_db / 10), 1e-9)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], loud.astype(np.int8), [0]))))
    found = [(a * hop_s, b * hop_s) for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)]
    return [(a, b) for a, b in merge_intervals(found, 0.1) if b - a >= 0.03]
