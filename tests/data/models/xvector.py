"""The class of the toy speaker encoder: an x-vector, which pyannote.audio fills from the checkpoint.

The checkpoint calls this module `sessionscribe.engines.xvector`; `tests/project.py` puts it there.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
import torchaudio
from pyannote.audio.core.model import Model
from torch import Tensor, nn

SAMPLE_RATE, WINDOW, HOP = 16_000, 512, 160


class WeightedStatistics(nn.Module):
    def forward(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """Pool (batch, features, frames) to (batch, 2 features), or to (batch, speakers, 2 features).

        `weights` are (batch, frames) or (batch, speakers, frames), at any frame rate.
        """
        if weights is None:
            weights = frames.new_ones(frames.shape[0], frames.shape[-1])
        by_speaker = weights.dim() == 3
        weights = weights if by_speaker else weights[:, None]
        if weights.shape[-1] != frames.shape[-1]:
            weights = F.interpolate(weights, size=frames.shape[-1], mode="nearest")
        share = weights / (weights.sum(-1, keepdim=True) + 1e-8)
        mean = torch.einsum("bft,bst->bsf", frames, share)
        square = torch.einsum("bft,bst->bsf", frames.square(), share)
        deviation = ((square - mean.square()).clamp_min(0) + 1e-4).sqrt()
        pooled = torch.cat([mean, deviation], dim=-1)
        return pooled if by_speaker else pooled[:, 0]


def _layer(inputs: int, outputs: int, kernel: int, dilation: int, stride: int = 1) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, kernel, stride=stride, padding=padding, dilation=dilation),
        nn.BatchNorm1d(outputs),
        nn.ReLU(),
    )


class XVector(Model):
    def __init__(
        self, mels: int = 72, channels: int = 128, embedding_dim: int = 64, task: Any = None
    ) -> None:
        super().__init__(sample_rate=SAMPLE_RATE, num_channels=1, task=task)
        self.save_hyperparameters("mels", "channels", "embedding_dim")
        bank = torchaudio.functional.melscale_fbanks(
            WINDOW // 2 + 1, 20.0, SAMPLE_RATE / 2, mels, SAMPLE_RATE
        )
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)
        self.register_buffer("mel_bank", bank, persistent=False)
        self.body = nn.Sequential(
            _layer(mels, channels, 5, 1, stride=2),
            _layer(channels, channels, 3, 2),
            _layer(channels, channels, 3, 3),
            _layer(channels, 2 * channels, 1, 1),
        )
        self.pool = WeightedStatistics()
        self.head = nn.Linear(4 * channels, embedding_dim)

    @property
    def dimension(self) -> int:
        return int(self.hparams["embedding_dim"])

    def forward(self, waveforms: Tensor, weights: Tensor | None = None) -> Tensor:
        """Embed waveforms (batch, 1, samples), pooled with weights (batch[, speakers], frames)."""
        spectrum = torch.stft(
            waveforms[:, 0].float(),
            WINDOW,
            hop_length=HOP,
            window=self.window,
            center=False,
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        mel = (torch.matmul(power.transpose(1, 2), self.mel_bank) + 1e-7).log().transpose(1, 2)
        frames = self.body((mel - mel.mean(dim=1, keepdim=True)) / 4)
        return self.head(self.pool(frames, weights))
