"""A small speaker-embedding model that pyannote.audio loads from a checkpoint.

The checkpoint of the bundled demo model names this module and class, so `scripts/` must be importable
(Snakemake and the `sessionscribe` command see to that). The network is an x-vector: a log-mel filterbank, a
few dilated convolutions over time, weighted mean and deviation, one linear layer.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
import torchaudio
from pyannote.audio.core.model import Model
from torch import Tensor, nn

SAMPLE_RATE = 16_000
WINDOW = 512
"""Filterbank window in samples (32 ms)."""
HOP = 160
"""Filterbank step in samples (10 ms)."""


class WeightedStatistics(nn.Module):
    """Weighted mean and standard deviation over time.

    Unlike pyannote's own pooling it keeps a small constant under the square root, whose gradient at zero
    would be infinite in training, and it gives finite values when all weights are zero.
    """

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
    """x-vector speaker embedding for 16 kHz audio."""

    window: Tensor
    mel_bank: Tensor

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
        """Length of an embedding."""
        return int(self.hparams["embedding_dim"])

    @lru_cache  # noqa: B019  pyannote's models do the same
    def num_frames(self, num_samples: int) -> int:
        """Number of frames that pooling sees for `num_samples` samples."""
        return (max(0, num_samples - WINDOW) // HOP) // 2 + 1

    def receptive_field_size(self, num_frames: int = 1) -> int:
        """Samples that `num_frames` neighbouring frames depend on."""
        mel_frames = 2 * (num_frames - 1) + 1 + 2 * (2 + 2 * 2 + 2 * 3)
        return WINDOW + (mel_frames - 1) * HOP

    def receptive_field_center(self, frame: int = 0) -> int:
        """Sample in the middle of what `frame` depends on."""
        return WINDOW // 2 + 2 * frame * HOP

    def filterbank(self, waveforms: Tensor) -> Tensor:
        """Log-mel energies (batch, mels, frames) of waveforms (batch, 1, samples)."""
        spectrum = torch.stft(
            waveforms[:, 0].float(),
            WINDOW,
            hop_length=HOP,
            window=self.window,
            center=False,
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return (torch.matmul(power.transpose(1, 2), self.mel_bank) + 1e-7).log().transpose(1, 2)

    def forward_frames(self, filterbank: Tensor) -> Tensor:
        """Frame-wise features (batch, features, frames / 2) of log-mel energies (batch, mels, frames).

        Each frame is centred by itself, so the result does not depend on level or on who else speaks.
        """
        frames: Tensor = self.body((filterbank - filterbank.mean(dim=1, keepdim=True)) / 4)
        return frames

    def forward_embedding(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """Embeddings (batch[, speakers], embedding_dim) of `forward_frames`' output."""
        embeddings: Tensor = self.head(self.pool(frames, weights))
        return embeddings

    def forward(  # type: ignore[override]  # as pyannote's own embedding models have it
        self, waveforms: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        """Embeddings of waveforms (batch, 1, samples), pooled with weights (batch[, speakers], frames).

        pyannote passes the same window once for each of its local speakers, one after the other; the frames
        of such repeats are computed once.
        """
        new = torch.ones(len(waveforms), dtype=torch.bool, device=waveforms.device)
        new[1:] = (waveforms[1:] != waveforms[:-1]).flatten(1).any(dim=1)
        frames = self.forward_frames(self.filterbank(waveforms[new]))
        return self.forward_embedding(frames[new.cumsum(0) - 1], weights)
