"""Train the segmentation model: PyanNet, powerset of three speakers with at most two at once."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pyannote.audio.models.segmentation import PyanNet
from pyannote.audio.utils.powerset import Powerset
from torch import Tensor

from .bank import UtteranceBank
from .conversation import SAMPLE_RATE, ConversationMixer
from .segmentation_data import FrameGrid, SegmentationWindows, SimilarVoices, WindowSettings
from .training import (
    SEGMENTATION_SPECIFICATIONS,
    WINDOW_S,
    Budget,
    State,
    learning_rate,
    save_pyannote_model,
    set_learning_rate,
    validation_subset,
)
from .warping import WarpedBank

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SegmentationOptions:
    """Size and budget of the segmentation model's training."""

    steps: int = 12_000
    minutes: float = 45.0
    batch: int = 16
    learning_rate: float = 2e-3
    hidden: int = 64
    stride: int = 16
    """Step of the sinc filters in samples; a frame is 27 times as long."""
    threads: int = 1
    seed: int = 1


def build_model(hidden: int, stride: int) -> PyanNet:
    """A small PyanNet, untrained.

    The sinc filters and the norm in front of them stay fixed, which saves most of the backward pass.
    """
    model = PyanNet(
        sincnet={"stride": stride},
        lstm={
            "hidden_size": hidden,
            "num_layers": 2,
            "bidirectional": True,
            "monolithic": False,
            "dropout": 0.1,
        },
        linear={"hidden_size": hidden, "num_layers": 1},
    )
    model.specifications = SEGMENTATION_SPECIFICATIONS
    model.build()
    for module in (model.sincnet.wav_norm1d, model.sincnet.conv1d[0]):
        module.requires_grad_(False)
    return model


def frame_grid(model: PyanNet) -> FrameGrid:
    """The model's output frames within a window."""
    field = model.receptive_field
    return FrameGrid(
        count=model.num_frames(round(WINDOW_S * SAMPLE_RATE)),
        first_s=field.start + field.duration / 2,
        step_s=field.step,
    )


class PermutationLoss:
    """Negative log-likelihood of the powerset labels under the best order of the speakers."""

    def __init__(self) -> None:
        self.powerset = Powerset(3, 2)
        self.orders = list(itertools.permutations(range(3)))

    def __call__(self, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and frame error rate (missed, false and confused speech over all speech), both scalars.

        Args:
            scores: log-probabilities, (batch, frames, 7).
            labels: 0 and 1, (batch, frames, 3); of three at once the third is dropped.
        """
        labels = labels.clone()
        labels[..., 2] *= labels.sum(-1) <= 2
        permuted = torch.stack([labels[..., list(order)] for order in self.orders])
        wanted = self.powerset.to_powerset(permuted.flatten(0, 1)).unflatten(0, permuted.shape[:2])
        losses = -(scores[None] * wanted).sum(-1).mean(-1)  # (orders, batch)
        best = losses.argmin(0)
        with torch.no_grad():
            truth = permuted[best, torch.arange(len(labels))]
            found = self.powerset.to_multilabel(scores)
            error = torch.maximum((found * (1 - truth)).sum(-1), (truth * (1 - found)).sum(-1)).sum()
        return losses.min(0).values.mean(), error / truth.sum().clamp_min(1)


def validate(model: PyanNet, windows: SegmentationWindows, batches: int = 4) -> tuple[float, float]:
    """Loss and frame error rate on windows of the speakers kept back."""
    criterion = PermutationLoss()
    model.eval()
    rows = []
    with torch.inference_mode():
        for seed in range(batches):
            batch = windows.batch(-1 - seed, 16)
            scores = model(torch.from_numpy(batch.audio))
            rows.append([value.item() for value in criterion(scores, torch.from_numpy(batch.labels))])
    model.train()
    loss, error = np.mean(rows, axis=0).tolist()
    return loss, error


def calibrate(model: PyanNet, windows: SegmentationWindows, batches: int = 8) -> tuple[float, float]:
    """Shift the scores of silence and of two voices, in place, to the smallest frame error on `windows`.

    Training on busier talk than there is in use makes the model hear two voices too often. The shift is kept
    small: beyond it, single windows still gain, but the pipeline, which averages windows, loses. Returns the
    frame error before and after.
    """
    criterion = PermutationLoss()
    model.eval()
    with torch.inference_mode():
        made = [windows.batch(-1 - seed, 16) for seed in range(batches)]
        scores = torch.cat([model(torch.from_numpy(batch.audio)) for batch in made])
    labels = torch.cat([torch.from_numpy(batch.labels) for batch in made])
    errors = {}
    for silence, both in itertools.product((0.0, 0.25, 0.5), (-1.0, -0.75, -0.5, -0.25, 0.0)):
        shift = torch.tensor([silence, 0, 0, 0, both, both, both], dtype=torch.float32)
        errors[silence, both] = criterion(scores + shift, labels)[1].item()
    silence, both = min(errors, key=lambda key: errors[key])
    log.info("calibration: silence %+.2f, two voices %+.2f", silence, both)
    with torch.no_grad():
        model.classifier.bias += torch.tensor([silence, 0, 0, 0, both, both, both], dtype=torch.float32)
    return errors[0.0, 0.0], errors[silence, both]


def similar_voices(embedding_voices: Path) -> SimilarVoices:
    """Return which voices sound alike, by the class centres that the embedding's training learned of them."""
    stored = torch.load(embedding_voices, map_location="cpu", weights_only=True)
    return SimilarVoices(stored["names"], stored["centres"].numpy())


def train_segmentation(
    *,
    voices_prefix: Path,
    tuning_prefix: Path,
    embedding_voices: Path,
    state_path: Path,
    output: Path,
    options: SegmentationOptions,
) -> None:
    """Train, or go on training, until the budget is used.

    Args:
        voices_prefix: bank whose voices are trained on.
        embedding_voices: what the embedding's training wrote of the same voices: which of them sound alike.
        tuning_prefix: bank with the voices that are kept back; errors on them are logged.
        state_path: where the state is kept that an interrupted training goes on from.
        output: pyannote checkpoint to write at the end; `<output>.partial` is written in between.
    """
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    model = build_model(options.hidden, options.stride).train()
    grid = frame_grid(model)
    mixer = ConversationMixer(WarpedBank(UtteranceBank(voices_prefix)))
    windows = SegmentationWindows(mixer, grid, similar=similar_voices(embedding_voices))
    held_back = SegmentationWindows(ConversationMixer(validation_subset(UtteranceBank(tuning_prefix))), grid)
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=options.learning_rate, weight_decay=1e-3)
    budget = Budget(options.steps, options.minutes)
    state = State(state_path, model, optimizer, budget)
    state.resume()
    criterion = PermutationLoss()
    recent: deque[tuple[float, float]] = deque(maxlen=100)
    log.info("%d weights, %d frames a window", sum(p.numel() for p in model.parameters()), grid.count)
    while not budget.exhausted:
        step = budget.done_steps
        set_learning_rate(optimizer, learning_rate(options.learning_rate, step, budget.progress))
        batch = windows.batch(options.seed * 1_000_003 + step, options.batch)
        with torch.autocast("cpu", torch.bfloat16):
            scores = model(torch.from_numpy(batch.audio))
        loss, error = criterion(scores.float(), torch.from_numpy(batch.labels))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        budget.tick()
        recent.append((loss.item(), error.item()))
        if step % 100 == 0:
            mean = np.mean(recent, axis=0)
            log.info("step %d  %.1f min  loss %.3f  frame error %.3f", step, budget.done_seconds / 60, *mean)
        if state.save() or budget.exhausted:
            log.info("validation: loss %.3f  frame error %.3f", *validate(model, held_back))
            save_pyannote_model(model, output.with_name(output.name + ".partial"))
    state.save(force=True)
    usual = SegmentationWindows(held_back.mixer, grid, WindowSettings(speakers=(2, 3, 4), varied=False))
    log.info("frame error %.3f, calibrated %.3f", *calibrate(model, usual))
    save_pyannote_model(model, output)
