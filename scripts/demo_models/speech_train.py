"""Training of the speech model: resumable, bounded by minutes, on a CPU.

Besides the decoder's cross-entropy, three signals that the synthesiser gives for free make it learn fast: the
word and the phoneme at each encoder position, and where the decoder has to look for each token (which makes
the word times good as well).
"""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader

from . import grammar
from .bank import UtteranceBank
from .speech_data import IGNORE, Batch, Batches, MelBank, WindowMaker
from .speech_model import ModelSize, Output, Whisper
from .speech_tokens import SpecialIds, load_tokenizer, train_tokenizer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainOptions:
    """Settings of one training run."""

    minutes: float = 85.0
    """Wall-clock budget over all resumed parts; the learning rate ends at zero with it."""
    seed: int = 1
    threads: int = 1
    batch_seconds: int = 90
    """Audio per step."""
    warm_share: float = 0.07
    """Share of the budget spent on single short sentences."""
    matrix_rate: float = 0.015
    """Learning rate of the orthogonalised update of the layers' matrices."""
    other_rate: float = 3e-3
    """AdamW's learning rate for embeddings, convolutions, norms and heads."""
    padding: int = 24
    """Positions that stand for the zeros up to 30 s."""
    save_every: float = 3.0
    """Minutes between checkpoints."""


def orthogonalize(matrices: Tensor, steps: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrices by Newton-Schulz iteration; ``matrices`` (count, rows, columns)."""
    x = matrices.bfloat16()
    wide = x.shape[1] <= x.shape[2]
    x = x if wide else x.transpose(1, 2)
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return (x if wide else x.transpose(1, 2)).float()


class Muon:
    """Momentum with orthogonalised updates for equal-shaped groups of matrices."""

    def __init__(
        self, parameters: list[torch.nn.Parameter], momentum: float = 0.95, decay: float = 0.02
    ) -> None:
        self.momentum = momentum
        self.decay = decay
        self.groups: dict[tuple[int, ...], list[torch.nn.Parameter]] = {}
        for parameter in parameters:
            self.groups.setdefault(tuple(parameter.shape), []).append(parameter)
        self.buffers = {shape: torch.zeros(len(ps), *shape) for shape, ps in self.groups.items()}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Update all matrices with learning rate ``rate``."""
        for shape, parameters in self.groups.items():
            gradient = torch.stack(
                [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
            )
            buffer = self.buffers[shape]
            buffer.lerp_(gradient, 1 - self.momentum)
            update = orthogonalize(gradient.lerp(buffer, self.momentum))
            scale = rate * max(1.0, shape[0] / shape[1]) ** 0.5
            for parameter, change in zip(parameters, update, strict=True):
                parameter.mul_(1 - rate * self.decay).sub_(change, alpha=scale)


def losses(output: Output, batch: Batch) -> dict[str, Tensor]:
    """The parts of the training loss."""

    def classes(logits: Tensor, targets: Tensor) -> Tensor:
        return functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORE)

    def attention(weights: Tensor, guides: Tensor) -> Tensor:
        """Minus the logarithm of the attention within the guides."""
        places = torch.arange(weights.shape[-1])
        inside = (places >= guides[..., :1]) & (places <= guides[..., 1:])
        rows = guides[..., 1] > 0
        seen = (weights.float() * inside[:, None]).sum(-1).transpose(1, 2)[rows]
        return -(seen + 1e-4).log().mean() if rows.any() else weights.sum() * 0

    return {
        "text": classes(output.logits, batch.targets),
        "word": classes(output.words, batch.words),
        "phone": classes(output.phones, batch.phones),
        "look": attention(output.alignment, batch.guides),
        "back": attention(output.before, functional.pad(batch.guides[:, :-1], (0, 0, 1, 0))),
    }


WEIGHTS = {"text": 1.0, "word": 0.5, "phone": 0.25, "look": 0.3, "back": 0.15}


def _save(path: Path, state: dict[str, object]) -> None:
    temporary = path.with_name(path.name + ".tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)


class Trainer:
    """Model, optimizers and data of one training run; its work lives in ``folder``."""

    def __init__(self, bank_prefix: Path, folder: Path, options: TrainOptions) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.options = options
        bank = UtteranceBank(bank_prefix)
        if not (folder / "tokenizer.json").exists():
            texts = sorted({u.text for u in bank.utterances})
            train_tokenizer(texts).save(str(folder / "tokenizer.json"))
        tokenizer = load_tokenizer(folder / "tokenizer.json")
        phones = sorted({name for u in bank.utterances for name, _ in u.phones if not name.startswith("_")})
        self.maker = WindowMaker(bank, MelBank(bank, folder / "mels.f16"), tokenizer, phones)
        self.special = SpecialIds.of(tokenizer)
        self.size = ModelSize(
            vocabulary=self.special.size,
            timestamps=self.special.timestamp,
            words=len(grammar.vocabulary()) + 1,
            phones=len(phones) + 1,
        )
        self.model = Whisper(self.size)
        stacks = [*self.model.encoder.layers.parameters(), *self.model.decoder.layers.parameters()]
        matrices = [p for p in stacks if p.ndim == 2]
        chosen = {id(p) for p in matrices}
        self.others = [p for p in self.model.parameters() if p.requires_grad and id(p) not in chosen]
        self.muon = Muon(matrices)
        self.adam = torch.optim.AdamW(
            self.others, lr=options.other_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )
        self.step = 0
        self.minutes = 0.0
        self.history: list[list[float]] = []
        self._resume()

    def _resume(self) -> None:
        path = self.folder / "last.pt"
        if path.exists():
            state = torch.load(path, map_location="cpu", weights_only=True)
            self.model.load_state_dict(state["model"])
            self.adam.load_state_dict(state["adam"])
            for shape, buffer in state["muon"].items():
                self.muon.buffers[shape].copy_(buffer)
            self.step, self.minutes = state["step"], state["minutes"]
        parameters = sum(p.numel() for p in self.model.parameters()) / 1e6
        log.info("step %d, %.1f min, %.2f M parameters", self.step, self.minutes, parameters)

    def save(self) -> None:
        """Write ``last.pt``, from which training goes on."""
        state = {
            "model": self.model.state_dict(),
            "size": self.size.as_dict(),
            "options": asdict(self.options),
            "adam": self.adam.state_dict(),
            "muon": self.muon.buffers,
            "step": self.step,
            "minutes": self.minutes,
        }
        _save(self.folder / "last.pt", state)

    def stream(self, single: bool) -> Iterator[Batch]:
        """Endless batches, made by another process."""
        durations = [3, 4] if single else [4, 4, 5, 5, 6, 6, 6, 6, 6, 7, 7, 7, 8, 8, 10, 10, 15, 30]
        seed = self.options.seed * 100003 + self.step
        batches = Batches(self.maker, seed, self.options.batch_seconds, durations, single)
        return iter(DataLoader(batches, batch_size=None, num_workers=1, prefetch_factor=4))

    def update(self, batch: Batch, factor: float) -> None:
        """One step with the learning rates times ``factor``."""
        with torch.autocast("cpu", torch.bfloat16):
            output = self.model(batch.mel, batch.tokens, self.options.padding)
        parts = losses(output, batch)
        loss = torch.stack([WEIGHTS[name] * part for name, part in parts.items()]).sum()
        self.model.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.others, 1.0)
        for group in self.adam.param_groups:
            group["lr"] = self.options.other_rate * factor
        self.adam.step()
        self.muon.step(self.options.matrix_rate * factor)
        self.step += 1
        with torch.no_grad():
            text = (batch.targets >= 0) & (batch.targets < self.special.end)
            right = (output.logits.argmax(-1) == batch.targets)[text].float().mean().item()
            spoken = batch.words > 0
            named = (output.words.argmax(-1) == batch.words)[spoken].float().mean().item()
        self.history.append([*(p.item() for p in parts.values()), right, named])

    def report(self) -> None:
        """Log the means since the last report."""
        means = np.nanmean(self.history, 0)
        self.history.clear()
        row: dict[str, float] = {"step": self.step, "minutes": round(self.minutes, 2)}
        names = [*WEIGHTS, "right", "named"]
        row |= {name: round(float(value), 4) for name, value in zip(names, means, strict=True)}
        log.info("%s", row)
        with open(self.folder / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def run(self) -> None:
        """Train until the minutes are used up."""
        before, began = self.minutes, time.monotonic()
        saved = before
        single: bool | None = None
        stream: Iterator[Batch] = iter(())
        while (progress := self.minutes / self.options.minutes) < 1:
            if single is not (progress < self.options.warm_share):
                single = progress < self.options.warm_share
                stream = self.stream(single)
            decay = 0.5 * (1 + math.cos(math.pi * max(0.0, progress - 0.4) / 0.6))
            self.update(next(stream), min(1.0, (self.step + 1) / 50) * decay)
            self.minutes = before + (time.monotonic() - began) / 60
            if self.step % 25 == 0:
                self.report()
            if self.minutes - saved > self.options.save_every:
                self.save()
                saved = self.minutes
        self.save()


def train_speech_model(
    bank_prefix: Path, folder: Path, options: TrainOptions, *, checkpoint: Path, tokenizer_file: Path
) -> None:
    """Train until the budget is used up, resuming from ``folder`` if a training was stopped there.

    ``folder`` keeps ``tokenizer.json``, ``mels.f16``, ``last.pt`` (to resume) and ``log.jsonl``; at the end
    the weights go to ``checkpoint`` and a copy of the tokenizer to ``tokenizer_file``.
    """
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    trainer = Trainer(bank_prefix, folder, options)
    trainer.run()
    shutil.copyfile(folder / "tokenizer.json", tokenizer_file)
    weights = {"model": trainer.model.state_dict(), "size": trainer.size.as_dict(), "step": trainer.step}
    _save(checkpoint, weights)
