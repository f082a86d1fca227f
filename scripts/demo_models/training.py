"""What the training loops share: split, budget, learning rate, resumable state, pyannote checkpoints."""

from __future__ import annotations

import io
import logging
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pyannote.audio.core.model import Model
from pyannote.audio.core.task import Problem, Resolution, Specifications

from .bank import UtteranceBank
from .voices import speakers

log = logging.getLogger(__name__)

WINDOW_S = 10.0
"""Length of the windows that segmentation and embedding see, in seconds."""


def voice_families(bank: UtteranceBank) -> dict[str, list[str]]:
    """Training speakers by the synthesiser's voice that they are made from."""
    families: dict[str, list[str]] = {}
    for speaker in speakers("train", len(bank.by_speaker)):
        families.setdefault(speaker.voice.split("+")[1], []).append(speaker.name)
    return families


def validation_speakers(bank: UtteranceBank, every: int = 10) -> list[list[str]]:
    """Training speakers kept back for tuning, by family: every `every`-th family of voices."""
    return list(voice_families(bank).values())[::every]


class SpeakerSubset:
    """A view of a bank with some of its speakers, as `ConversationMixer` takes it."""

    def __init__(self, bank: UtteranceBank, names: set[str]) -> None:
        self.by_speaker = {name: bank.by_speaker[name] for name in sorted(names)}
        self.audio = bank.audio


def training_subset(bank: UtteranceBank) -> SpeakerSubset:
    """All speakers but those kept back for tuning."""
    return SpeakerSubset(bank, set(bank.by_speaker).difference(*validation_speakers(bank)))


def validation_subset(bank: UtteranceBank) -> SpeakerSubset:
    """The speakers kept back for tuning."""
    return SpeakerSubset(bank, set().union(*validation_speakers(bank)))


@dataclass
class Budget:
    """Bounds a training run by steps and by minutes, whichever ends first, over all resumptions."""

    steps: int
    minutes: float
    done_steps: int = 0
    done_seconds: float = 0.0
    _last: float = field(default_factory=time.monotonic, repr=False)

    def tick(self) -> None:
        """Count one step and the time since the last one (at most a minute of it)."""
        now = time.monotonic()
        self.done_seconds += min(60.0, now - self._last)
        self._last = now
        self.done_steps += 1

    @property
    def progress(self) -> float:
        """Share of the budget that is used, 0 to 1."""
        return min(1.0, max(self.done_steps / self.steps, self.done_seconds / 60 / self.minutes))

    @property
    def exhausted(self) -> bool:
        """Whether training ends here."""
        return self.progress >= 1.0


def learning_rate(peak: float, step: int, progress: float, warmup: int = 100, flat: float = 0.3) -> float:
    """Warm-up, a flat part, then a cosine down to 1 % of the peak."""
    decay = max(0.0, (progress - flat) / (1 - flat))
    return peak * min(1.0, (step + 1) / warmup) * (0.505 + 0.495 * math.cos(math.pi * decay))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give all parameter groups the same learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def save_atomically(content: Any, path: Path) -> None:
    """`torch.save` by way of a temporary file, so that `path` is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(buffer.getvalue())
    os.replace(temporary, path)


@dataclass
class State:
    """Everything that a training run needs to go on after an interruption, kept in one file."""

    path: Path
    module: torch.nn.Module
    optimizer: torch.optim.Optimizer
    budget: Budget
    every_s: float = 240.0
    _saved: float = field(default_factory=time.monotonic, repr=False)

    def resume(self) -> None:
        """Load the state if there is one."""
        if self.path.exists():
            stored: Mapping[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
            self.module.load_state_dict(stored["module"])
            self.optimizer.load_state_dict(stored["optimizer"])
            self.budget.done_steps = stored["steps"]
            self.budget.done_seconds = stored["seconds"]
            log.info("resumed after %d steps, %.1f min", stored["steps"], stored["seconds"] / 60)

    def save(self, force: bool = False) -> bool:
        """Store the state if it is due; tells whether it did."""
        if not force and time.monotonic() - self._saved < self.every_s:
            return False
        content = {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "steps": self.budget.done_steps,
            "seconds": self.budget.done_seconds,
        }
        save_atomically(content, self.path)
        self._saved = time.monotonic()
        return True


SEGMENTATION_SPECIFICATIONS = Specifications(
    problem=Problem.MONO_LABEL_CLASSIFICATION,
    resolution=Resolution.FRAME,
    duration=WINDOW_S,
    min_duration=None,
    warm_up=(0.0, 0.0),
    classes=["speaker#1", "speaker#2", "speaker#3"],
    powerset_max_classes=2,
    permutation_invariant=True,
)
EMBEDDING_SPECIFICATIONS = Specifications(
    problem=Problem.REPRESENTATION,
    resolution=Resolution.CHUNK,
    duration=WINDOW_S,
    min_duration=None,
    classes=None,
)


def save_pyannote_model(model: Model, path: Path) -> None:
    """Write a checkpoint that `pyannote.audio.Model.from_pretrained` loads."""
    hyper_parameters = {k: v for k, v in dict(model.hparams).items() if k != "task"}
    checkpoint: dict[str, Any] = {
        "state_dict": {k: v.detach().cpu().clone() for k, v in model.state_dict().items()},
        "hyper_parameters": hyper_parameters,
        "pytorch-lightning_version": "2.6.0",
        "epoch": 0,
        "global_step": 0,
    }
    model.on_save_checkpoint(checkpoint)
    save_atomically(checkpoint, path)
