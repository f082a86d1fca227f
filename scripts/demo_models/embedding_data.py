"""Training examples for the speaker embedding: stretches of one voice, disturbed as in a conversation."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from .conversation import SAMPLE_RATE, Bank, noise_floor

Audio = NDArray[np.float32]


class EmbeddingExamples:
    """Batches of (audio, weights, class); classes are the bank's speakers in sorted order."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.speakers = sorted(bank.by_speaker)
        self.classes = len(self.speakers)

    def batch(self, seed: int, size: int) -> tuple[Audio, NDArray[np.float32], NDArray[np.int64]]:
        """Audio (size, 1, samples), weights per 10 ms (size, samples / 160) and classes (size,).

        All examples of a batch are equally long (1 to 5 s), and their classes differ if there are enough.
        """
        rng = random.Random(seed)
        length = round(rng.choice((1.0, 2.0, 3.0, 5.0)) * SAMPLE_RATE)
        if size <= self.classes:
            targets = rng.sample(range(self.classes), size)
        else:
            targets = rng.choices(range(self.classes), k=size)
        audio = np.stack([self._example(rng, target, length) for target in targets])
        weights = np.ones((size, length // 160), dtype=np.float32)
        for row, wave in enumerate(audio):
            if rng.random() < 0.5:
                self._disturb(rng, wave, weights[row])
        return audio[:, None], weights, np.array(targets, dtype=np.int64)

    def _voice(self, rng: random.Random, target: int, length: int) -> Audio:
        """`length` samples of one class, put together from several utterances."""
        utterances = self.bank.by_speaker[self.speakers[target]]
        parts: list[Audio] = []
        missing = length
        while missing > 0:
            clip = self.bank.audio(rng.choice(utterances))
            first = rng.randrange(max(1, len(clip) - missing + 1))
            parts.append(clip[first : first + missing])
            missing -= len(parts[-1])
        return np.concatenate(parts)

    def _example(self, rng: random.Random, target: int, length: int) -> Audio:
        audio = self._voice(rng, target, length)
        if rng.random() < 0.3:
            audio = lfilter([1.0, -rng.uniform(-0.3, 0.4)], [1.0], audio).astype(np.float32)
        audio = audio * np.float32(10 ** (rng.uniform(-20, 0) / 20))
        level_db = 10 * np.log10(float(np.square(audio).mean()) + 1e-9)
        return audio + noise_floor(length, level_db - rng.uniform(12, 50), rng.randrange(2**31))

    def _disturb(self, rng: random.Random, wave: Audio, weights: NDArray[np.float32]) -> None:
        """Put another voice at one end, in place: masked as a segmentation would, a little of it left in."""
        samples = round(len(wave) * rng.uniform(0.1, 0.5))
        other = self._voice(rng, rng.randrange(self.classes), samples)
        other *= np.float32(np.sqrt(np.square(wave).mean() / (np.square(other).mean() + 1e-9)))
        part = slice(0, samples) if rng.random() < 0.5 else slice(len(wave) - samples, len(wave))
        if rng.random() < 0.7:
            wave[part] = 0  # the other voice alone, otherwise both at once
        wave[part] += other
        leak = rng.choice((0, 0, 10, 20))
        frames = samples // 160
        if part.start == 0:
            weights[: max(0, frames - leak)] = 0
        else:
            weights[len(weights) - max(0, frames - leak) :] = 0
