"""pyannote's segmentation model, deaf to what is far below the level of the speech around it."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812
from pyannote.audio.models.segmentation import PyanNet
from torch import Tensor

QUIET_DB = -38.0
"""Nobody speaks in a frame whose level is so far below that of the loudest ones of its window."""
PAUSE_FRAMES = 27
"""So many quiet frames in a row (17 ms each) are a pause: within words and between them there are fewer."""


class PausingPyanNet(PyanNet):
    """PyanNet whose speakers are silent in pauses, which the model of 2022 calls speech up to a second.

    It is a multilabel model: each speaker has a score in [0, 1].
    """

    def forward(self, waveforms: Tensor) -> Tensor:  # type: ignore[override]  # as PyanNet has it
        """Return each speaker's scores (batch, frames, speakers) in waveforms (batch, 1, samples)."""
        scores: Tensor = super().forward(waveforms)
        size = self.receptive_field_size(1)
        step = self.receptive_field_size(2) - size
        power = F.avg_pool1d(waveforms.float().square(), size, step)[..., : scores.shape[1]]
        loud = power.quantile(0.95, dim=-1, keepdim=True)
        quiet = (power < loud * 10 ** (QUIET_DB / 10)).float()
        pad = PAUSE_FRAMES // 2
        inner = 1 - F.max_pool1d(1 - quiet, PAUSE_FRAMES, stride=1, padding=pad)
        pauses = F.max_pool1d(inner, PAUSE_FRAMES, stride=1, padding=pad)
        return scores * (1 - pauses).transpose(1, 2)
