"""Train the speaker embedding: an x-vector with an additive angular margin over the training voices."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from sessionscribe.engines.xvector import XVector

from .bank import UtteranceBank
from .embedding_data import EmbeddingExamples
from .training import (
    EMBEDDING_SPECIFICATIONS,
    Budget,
    State,
    learning_rate,
    save_atomically,
    save_pyannote_model,
    set_learning_rate,
    validation_subset,
)
from .warping import WarpedBank

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EmbeddingOptions:
    """Size and budget of the embedding's training."""

    steps: int = 6_000
    minutes: float = 25.0
    batch: int = 64
    learning_rate: float = 2e-3
    channels: int = 128
    embedding_dim: int = 64
    scale: float = 24.0
    margin: float = 0.2
    threads: int = 1
    seed: int = 2


class AngularMargin(nn.Module):
    """Classification of embeddings by angle, harder by a margin for the right class."""

    def __init__(self, classes: int, dimension: int, scale: float) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(classes, dimension) * 0.1)
        self.scale = scale

    def forward(self, embeddings: Tensor, targets: Tensor, margin: float) -> tuple[Tensor, Tensor]:
        """Loss and accuracy for embeddings (batch, dimension) and classes (batch,)."""
        cosine = F.normalize(embeddings) @ F.normalize(self.centres).T
        penalty = margin * F.one_hot(targets, len(self.centres))
        loss = F.cross_entropy(self.scale * (cosine - penalty), targets)
        return loss, (cosine.argmax(1) == targets).float().mean()


def equal_error_rate(model: XVector, examples: EmbeddingExamples, trials: int = 24) -> float:
    """Equal error rate of cosine scores between stretches (2 s and more) of voices that were kept back."""
    model.eval()
    vectors, names = [], []
    with torch.inference_mode():
        for seed in range(trials):
            audio, weights, targets = map(torch.from_numpy, examples.batch(-1 - seed, 16))
            if audio.shape[-1] >= 32_000:
                vectors.append(F.normalize(model(audio, weights)))
                names.append(targets)
    model.train()
    stacked, labels = torch.cat(vectors), torch.cat(names)
    scores = (stacked @ stacked.T).numpy()
    same = (labels[:, None] == labels[None]).numpy()
    upper = np.triu(np.ones_like(same), 1)
    match, other = np.sort(scores[same & upper]), np.sort(scores[~same & upper])
    thresholds = np.linspace(-1, 1, 401)
    missed = np.searchsorted(match, thresholds) / len(match)
    accepted = 1 - np.searchsorted(other, thresholds) / len(other)
    best = int(np.argmin(np.abs(missed - accepted)))
    return float(missed[best] + accepted[best]) / 2


def train_embedding(
    *,
    voices_prefix: Path,
    tuning_prefix: Path,
    state_path: Path,
    output: Path,
    voices: Path,
    options: EmbeddingOptions,
) -> None:
    """Train, or go on training, until the budget is used.

    Args:
        voices_prefix: bank whose voices are trained on.
        tuning_prefix: bank with the voices that are kept back; errors on them are logged.
        state_path: where the state is kept that an interrupted training goes on from.
        output: pyannote checkpoint to write at the end; `<output>.partial` is written in between.
        voices: where the classes' centres go: names, and vectors (classes, embedding_dim).
    """
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    examples = EmbeddingExamples(WarpedBank(UtteranceBank(voices_prefix)))
    held_back = EmbeddingExamples(validation_subset(UtteranceBank(tuning_prefix)))
    model = XVector(channels=options.channels, embedding_dim=options.embedding_dim)
    model.specifications = EMBEDDING_SPECIFICATIONS
    criterion = AngularMargin(examples.classes, options.embedding_dim, options.scale)
    both = nn.ModuleDict({"model": model, "criterion": criterion}).train()
    optimizer = torch.optim.AdamW(both.parameters(), lr=options.learning_rate, weight_decay=1e-3)
    budget = Budget(options.steps, options.minutes)
    state = State(state_path, both, optimizer, budget)
    state.resume()
    recent: deque[tuple[float, float]] = deque(maxlen=100)
    log.info("%d weights, %d classes", sum(p.numel() for p in model.parameters()), examples.classes)
    while not budget.exhausted:
        step = budget.done_steps
        set_learning_rate(optimizer, learning_rate(options.learning_rate, step, budget.progress))
        audio, weights, targets = map(
            torch.from_numpy, examples.batch(options.seed * 1_000_003 + step, options.batch)
        )
        filterbank = model.filterbank(audio)
        with torch.autocast("cpu", torch.bfloat16):
            frames = model.forward_frames(filterbank)
        embeddings = model.forward_embedding(frames.float(), weights)
        loss, accuracy = criterion(embeddings, targets, options.margin * budget.progress)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(both.parameters(), 1.0)
        optimizer.step()
        budget.tick()
        recent.append((loss.item(), accuracy.item()))
        if step % 100 == 0:
            mean = np.mean(recent, axis=0)
            log.info("step %d  %.1f min  loss %.3f  accuracy %.3f", step, budget.done_seconds / 60, *mean)
        if state.save() or budget.exhausted:
            log.info("validation: equal error rate %.3f", equal_error_rate(model, held_back))
            save_pyannote_model(model, output.with_name(output.name + ".partial"))
    state.save(force=True)
    save_atomically({"names": examples.speakers, "centres": criterion.centres.detach().clone()}, voices)
    save_pyannote_model(model, output)
