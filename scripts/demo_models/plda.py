"""Fit the PLDA that pyannote's VBx clustering scores embeddings with."""

from __future__ import annotations

import io
import os
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pyannote.audio.core.model import Model
from scipy.linalg import eigh

from .bank import UtteranceBank
from .conversation import SAMPLE_RATE, ConversationMixer
from .segmentation_data import FrameGrid
from .training import WINDOW_S, training_subset

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class PldaOptions:
    """How many conversations to embed, and the dimension that discriminant analysis keeps."""

    conversations: int = 250
    conversation_s: float = 42.0
    dimension: int = 48
    threads: int = 1
    seed: int = 3


def window_embeddings(
    model: Model, mixer: ConversationMixer, options: PldaOptions
) -> tuple[Matrix, NDArray[np.str_]]:
    """Embeddings (n, dimension) of speakers in windows of conversations, masked as in use, and names (n,).

    A speaker counts in a window if at least 2 s of their speech there are free of overlap.
    """
    rng = random.Random(options.seed)
    grid = FrameGrid(count=1000, first_s=0.005, step_s=0.01)
    length = round(WINDOW_S * SAMPLE_RATE)
    vectors: list[NDArray[np.float32]] = []
    names: list[str] = []
    for _ in range(options.conversations):
        talk = mixer.mix(rng.randrange(2**31), options.conversation_s, rng.choice((2, 3, 4)))
        for offset in np.arange(0, options.conversation_s - WINDOW_S, WINDOW_S):
            rows = grid.activity(talk, float(offset))
            if not rows:
                continue
            active = np.stack(list(rows.values()))
            masks = active * (active.sum(axis=0) == 1)
            keep = masks.sum(axis=1) >= 200
            start = round(offset * SAMPLE_RATE)
            window = torch.from_numpy(talk.waveform[start : start + length])[None, None]
            if keep.any():
                with torch.inference_mode():
                    found = model(window.repeat(int(keep.sum()), 1, 1), torch.from_numpy(masks[keep]))
                vectors.extend(found.numpy())
                names.extend(np.array(list(rows))[keep])
    return np.array(vectors, dtype=np.float64), np.array(names)


def _unit(rows: Matrix) -> Matrix:
    scaled: Matrix = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


def scatter(vectors: Matrix, names: NDArray[np.str_]) -> tuple[Matrix, Matrix]:
    """Covariance within and between speakers, each (dimension, dimension)."""
    _, index = np.unique(names, return_inverse=True)
    counts = np.bincount(index)
    means = np.zeros((len(counts), vectors.shape[1]))
    np.add.at(means, index, vectors)
    means /= counts[:, None]
    inner = vectors - means[index]
    within = inner.T @ inner / len(vectors) + 1e-4 * np.eye(vectors.shape[1])
    between = np.cov(means.T) - within / counts.mean()
    return within, between


def fit_transforms(
    vectors: Matrix, names: NDArray[np.str_], dimension: int
) -> tuple[dict[str, Matrix], dict[str, Matrix]]:
    """The arrays of `xvec_transform.npz` and `plda.npz` as `pyannote.audio.core.plda` reads them."""
    mean1 = vectors.mean(axis=0)
    centred = np.sqrt(vectors.shape[1]) * _unit(vectors - mean1)
    within, between = scatter(centred, names)
    lda = eigh(between, within)[1][:, ::-1][:, :dimension]
    projected = centred @ lda
    mean2 = projected.mean(axis=0)
    whitened = np.sqrt(dimension) * _unit(projected - mean2)
    within, between = scatter(whitened, names)
    values, directions = eigh(between, within)
    plda = {
        "mu": whitened.mean(axis=0),
        "tr": directions[:, ::-1].T,
        "psi": np.maximum(values[::-1], 1e-3),
    }
    return {"mean1": mean1, "mean2": mean2, "lda": lda}, plda


def _save_npz(path: Path, arrays: dict[str, Matrix]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **{name: array.astype(np.float32) for name, array in arrays.items()})
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(buffer.getvalue())
    os.replace(temporary, path)


def fit_plda(bank_prefix: Path, embedding: Path, transform: Path, plda: Path, options: PldaOptions) -> None:
    """Embed conversations of the training speakers and write the two files of the PLDA."""
    torch.set_num_threads(options.threads)
    model = Model.from_pretrained(embedding)
    assert model is not None
    model.eval()
    mixer = ConversationMixer(training_subset(UtteranceBank(bank_prefix)))
    vectors, names = window_embeddings(model, mixer, options)
    arrays = fit_transforms(vectors, names, options.dimension)
    for path, content in zip((transform, plda), arrays, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        _save_npz(path, content)
