"""More voices out of a bank: each speaker also resampled, which shifts pitch and formants together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from .conversation import Bank, Utterance

WARPS = ((1, 1), (17, 16), (15, 16), (9, 8), (8, 9))
"""Resampling factors; a resampled voice counts as a speaker of its own."""


@dataclass(frozen=True)
class WarpedUtterance:
    """An utterance that lasts `up / down` times as long as its source, with everything lower by as much."""

    source: Utterance
    up: int
    down: int
    offset: int

    @property
    def text(self) -> str:
        """The sentence."""
        return self.source.text

    @property
    def words(self) -> Sequence[tuple[str, float, float]]:
        """Words with times in seconds from the start of the warped utterance."""
        factor = self.up / self.down
        return [(text, start * factor, end * factor) for text, start, end in self.source.words]


class WarpedBank:
    """A bank with `len(WARPS)` speakers for each speaker of another bank."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.by_speaker: Mapping[str, Sequence[WarpedUtterance]] = {
            f"{name}@{index}": [
                WarpedUtterance(utterance, up, down, utterance.offset * len(WARPS) + index)
                for utterance in utterances
            ]
            for name, utterances in bank.by_speaker.items()
            for index, (up, down) in enumerate(WARPS)
        }

    def audio(self, utterance: WarpedUtterance) -> NDArray[np.float32]:
        """Samples of one utterance, float32 in [-1, 1], 16 kHz mono."""
        audio = self.bank.audio(utterance.source)
        if utterance.up == utterance.down:
            return audio
        return resample_poly(audio, utterance.up, utterance.down).astype(np.float32)
