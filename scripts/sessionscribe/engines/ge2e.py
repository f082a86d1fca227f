"""The GE2E speaker encoder (Resemblyzer's weights) as an embedding model of pyannote.audio.

Wan et al. 2018, "Generalized end-to-end loss for speaker verification": an LSTM over mel energies of 1.6 s of
speech. Its checkpoint names this module and class, so `scripts/` must be importable, as it is in Snakemake
and the `sessionscribe` command.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
import torchaudio
from pyannote.audio.core.model import Model
from torch import Tensor, nn

SAMPLE_RATE = 16_000
WINDOW = 400
"""Filterbank window in samples (25 ms)."""
HOP = 160
"""Filterbank step in samples (10 ms)."""
MELS = 40
DIMENSION = 256
PARTIAL = 160
"""Mel frames of a partial, the input of the LSTM (1.6 s), as in training."""
STEP = 80
"""Mel frames from one partial to the next."""
MIN_SAMPLES = 6_400
"""Shortest speech without overlap (0.4 s); with less, overlapped speech is used, too."""
LEVEL = 10 ** (-30 / 10)
"""Mean power to which faint speech is raised (-30 dBFS), as in training."""


class GE2E(Model):
    """Speaker embeddings of 256 values and length 1, for 16 kHz audio.

    A speaker's frames are concatenated before they enter the LSTM, so an embedding contains nobody else's
    speech, however short the turns are. Each window is normalised as a whole, as recordings in training.
    """

    window: Tensor
    mel_bank: Tensor

    def __init__(self, sample_rate: int = SAMPLE_RATE, num_channels: int = 1, task: Any = None) -> None:
        super().__init__(sample_rate=sample_rate, num_channels=num_channels, task=task)
        bank = torchaudio.functional.melscale_fbanks(
            WINDOW // 2 + 1, 0.0, SAMPLE_RATE / 2, MELS, SAMPLE_RATE, norm="slaney", mel_scale="slaney"
        )
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)
        self.register_buffer("mel_bank", bank, persistent=False)
        self.lstm = nn.LSTM(MELS, DIMENSION, num_layers=3, batch_first=True)
        self.linear = nn.Linear(DIMENSION, DIMENSION)

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return DIMENSION

    def filterbank(self, waveforms: Tensor) -> Tensor:
        """Return mel energies (batch, frames, mels) of waveforms (batch, 1, samples); amplify faint ones."""
        samples = waveforms[:, 0].float()
        power = samples.square().mean(1, keepdim=True).clamp_min(1e-12)
        spectrum = torch.stft(
            samples * (LEVEL / power).clamp_min(1).sqrt(),
            WINDOW,
            hop_length=HOP,
            window=self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        energy = spectrum.real.square() + spectrum.imag.square()
        return torch.matmul(energy.transpose(1, 2), self.mel_bank)

    def forward(  # type: ignore[override]  # as pyannote's own embedding models have it
        self, waveforms: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        """Return embeddings of waveforms (batch, 1, samples), NaN where no weight is set.

        Weights (batch[, speakers], frames) select the frames of each embedding.

        Raises:
            ValueError: the waveforms are too short; pyannote finds the minimum length with this error.
        """
        if waveforms.shape[-1] < MIN_SAMPLES:
            raise ValueError(f"a voice needs {MIN_SAMPLES} samples")
        mel = self.filterbank(waveforms)
        weights = mel.new_ones(mel.shape[:2]) if weights is None else weights
        masks = weights if weights.dim() == 3 else weights[:, None]
        heard = F.interpolate(masks, size=mel.shape[1], mode="nearest") > 0.5
        parts = [_partials(mel[row, mask]) for row, own in enumerate(heard) for mask in own]
        counts = [len(own) for own in parts]
        sums = mel.new_zeros(len(parts), DIMENSION)
        if any(counts):
            voices = self._hear([part for own in parts for part in own])
            owner = torch.arange(len(parts), device=mel.device)
            owner = owner.repeat_interleave(torch.tensor(counts, device=mel.device))
            sums.index_add_(0, owner, voices)
        sums[~sums.any(1)] = torch.nan
        return F.normalize(sums).view(*weights.shape[:-1], DIMENSION)

    def _hear(self, partials: list[Tensor]) -> Tensor:
        """Return the embeddings (n, 256) of n partials, each (frames, mels)."""
        lengths = torch.tensor([len(part) for part in partials], device=partials[0].device)
        states, _ = self.lstm(nn.utils.rnn.pad_sequence(partials, batch_first=True))
        last = states[torch.arange(len(partials), device=states.device), lengths - 1]
        return F.normalize(torch.relu(self.linear(last)))


def _partials(speech: Tensor) -> list[Tensor]:
    """Return evenly spread partials that cover a speaker's mel frames (frames, mels)."""
    if not len(speech):
        return []
    count = 1 + round(max(0, len(speech) - PARTIAL) / STEP)
    starts = torch.linspace(0, max(0, len(speech) - PARTIAL), count).round().int().tolist()
    return [speech[start : start + PARTIAL] for start in starts]
