"""Perturb recordings as the real world does, keeping track of how their times change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .media import SAMPLE_RATE, Audio
from .signals import filtered, stretched
from .sounds import music

BEFORE_S = 30.0
SILENCE_S = 120.0


@dataclass(frozen=True)
class Perturbed:
    """Samples, shape (samples,) at 16 kHz, and the changes in times."""

    audio: Audio
    pace: float = 1.0
    inserted_at_s: float = 0.0
    inserted_s: float = 0.0

    def time(self, seconds: float) -> float:
        """Return the time in the perturbed recording of a time in the original."""
        moved = self.inserted_s if seconds >= self.inserted_at_s else 0.0
        return seconds / self.pace + moved


def quieter(audio: Audio, rng: np.random.Generator) -> Perturbed:
    """30 dB down, in 16 bits."""
    return Perturbed(np.round(audio * 10 ** (-30 / 20) * 32768).astype(np.float32) / 32768)


def noisy(snr_db: float) -> Callable[[Audio, np.random.Generator], Perturbed]:
    """White noise with a signal-to-noise ratio, where the signal is the speech."""

    def add(audio: Audio, rng: np.random.Generator) -> Perturbed:
        frames = audio[: len(audio) // 400 * 400].reshape(-1, 400)
        energy = np.square(frames).mean(axis=1)
        level = np.sqrt(energy[energy > energy.max() * 1e-3].mean()) * 10 ** (-snr_db / 20)
        noise = rng.standard_normal(len(audio), dtype=np.float32) * np.float32(level)
        return Perturbed(np.clip(audio + noise, -1, 1))

    return add


def telephone(audio: Audio, rng: np.random.Generator) -> Perturbed:
    """300 to 3400 Hz, 8 kHz, 8 bits of mu-law."""
    half = filtered(audio, 300, 3400)[::2]
    half = half * (0.5 / max(float(np.abs(half).max()), 1e-9))
    code = np.round(127 * np.sign(half) * np.log1p(255 * np.abs(half)) / np.log(256))
    coded = np.sign(code) * np.expm1(np.abs(code) / 127 * np.log(256)) / 255
    doubled = np.zeros(2 * len(coded), dtype=np.float32)
    doubled[::2] = 2 * coded
    return Perturbed(filtered(doubled, 0, 3999)[: len(audio)])


def reverberant(audio: Audio, rng: np.random.Generator) -> Perturbed:
    """A hall: 0.8 s of reverberation, as loud as the voice itself."""
    time = np.arange(round(0.8 * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(len(time)) * np.exp(-6.9 * time / 0.8)
    tail[0] = np.linalg.norm(tail[1:])
    size = len(audio) + len(tail)
    wet = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(tail, size), size)[: len(audio)]
    return Perturbed((wet * np.abs(audio).max() / np.abs(wet).max()).astype(np.float32))


def clipped(audio: Audio, rng: np.random.Generator) -> Perturbed:
    """12 dB too loud for the recorder."""
    return Perturbed(np.clip(audio / np.abs(audio).max() * 4, -1, 1).astype(np.float32))


def faster(audio: Audio, rng: np.random.Generator) -> Perturbed:
    """1.25 times the pace, same pitch."""
    return Perturbed(stretched(audio, 1.25), pace=1.25)


def music_before(audio: Audio, rng: np.random.Generator) -> Perturbed:
    """Half a minute of music first."""
    return Perturbed(np.concatenate([music("piano", BEFORE_S, rng), audio]), inserted_s=BEFORE_S)


def silence_inside(audio: Audio, rng: np.random.Generator) -> Perturbed:
    """Two minutes of digital silence at the quietest moment near the middle."""
    hop = SAMPLE_RATE // 50
    energy = np.square(audio[: len(audio) // hop * hop].reshape(-1, hop)).mean(axis=1)
    quiet = np.convolve(energy, np.ones(10), "same")
    third = len(quiet) // 3
    at = (third + int(np.argmin(quiet[third : 2 * third]))) * hop
    silence = np.zeros(round(SILENCE_S * SAMPLE_RATE), dtype=np.float32)
    return Perturbed(np.concatenate([audio[:at], silence, audio[at:]]), 1.0, at / SAMPLE_RATE, SILENCE_S)


PERTURBATIONS: dict[str, Callable[[Audio, np.random.Generator], Perturbed]] = {
    "-30 dB": quieter,
    "noise 5 dB": noisy(5),
    "noise 0 dB": noisy(0),
    "telephone": telephone,
    "reverb": reverberant,
    "clipping": clipped,
    "1.25x": faster,
    "music before": music_before,
    "silence inside": silence_inside,
}
