"""pyannote's segmentation model, corrected where it takes pauses for speech."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from pyannote.audio.models.segmentation import PyanNet
from torch import Tensor

ABOVE_NOISE_DB = 9.0
"""A frame is quiet if its level is less than this above the quietest frames of its window."""
QUIET_DB = (-38.0, -30.0)
"""Relative to the loudest frames, frames below the first level are always quiet, above the second never."""
PAUSE_FRAMES = 11
"""Consecutive quiet frames (17 ms each) of a pause; fewer occur within words."""


class PausingPyanNet(PyanNet):
    """PyanNet with pauses; the model of 2022 takes those of up to a second for speech.

    It is a multilabel model: each speaker has a score in [0, 1].
    """

    def forward(self, waveforms: Tensor) -> Tensor:  # type: ignore[override]  # as PyanNet has it
        """Return the scores (batch, frames, speakers) of waveforms (batch, 1, samples)."""
        scores: Tensor = super().forward(waveforms)
        size = self.receptive_field_size(1)
        step = self.receptive_field_size(2) - size
        power = F.avg_pool1d(waveforms.float().square(), size, step)[..., : scores.shape[1]]
        noise, loud = (power.quantile(share, dim=-1, keepdim=True) for share in (0.02, 0.95))
        low, high = (loud * 10 ** (db / 10) for db in QUIET_DB)
        limit = torch.clamp(noise * 10 ** (ABOVE_NOISE_DB / 10), low, high)
        quiet = (power < limit).float()
        pad = PAUSE_FRAMES // 2
        inner = 1 - F.max_pool1d(1 - quiet, PAUSE_FRAMES, stride=1, padding=pad)
        pauses = F.max_pool1d(inner, PAUSE_FRAMES, stride=1, padding=pad)
        return scores * (1 - pauses).transpose(1, 2)
