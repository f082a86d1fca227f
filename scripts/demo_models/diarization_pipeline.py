"""Put segmentation, embedding and PLDA together as a pyannote pipeline folder, and tune its clustering."""

from __future__ import annotations

import itertools
import json
import logging
import os
import random
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from pyannote.audio import Pipeline
from pyannote.metrics.diarization import DiarizationErrorRate

from sessionscribe.evaluation.evaluate import Options, Scores, evaluate
from sessionscribe.evaluation.references import from_truth
from sessionscribe.evaluation.said import Said, SpeakerTurn
from sessionscribe.evaluation.speakers import annotation

from .bank import UtteranceBank
from .conversation import Conversation, ConversationMixer
from .media import M4A, read_audio, through_codec
from .training import validation_speakers, validation_subset

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PipelineParameters:
    """What the pipeline's config.yaml holds; see `pyannote.audio.pipelines.SpeakerDiarization`."""

    threshold: float = 0.68
    """Distance of unit vectors from which two clusters are two speakers."""
    min_cluster_size: int = 20
    """Smaller clusters (of windows) go to their nearest large one; pyannote takes 20 at most."""
    min_duration_off: float = 0.0
    segmentation_step: float = 0.1

    def instantiation(self) -> dict[str, dict[str, float | str]]:
        """Parameters in the form of `Pipeline.instantiate`."""
        return {
            "segmentation": {"min_duration_off": self.min_duration_off},
            "clustering": {
                "method": "centroid",
                "min_cluster_size": self.min_cluster_size,
                "threshold": self.threshold,
            },
        }


def write_config(folder: Path, parameters: PipelineParameters) -> None:
    """Write `config.yaml` of the pipeline folder; models are looked up beside it, nothing is downloaded."""
    content = {
        "dependencies": {"pyannote.audio": "4.0.0"},
        "pipeline": {
            "name": "pyannote.audio.pipelines.SpeakerDiarization",
            "params": {
                "clustering": "AgglomerativeClustering",
                "segmentation": "$model/segmentation",
                "segmentation_batch_size": 16,
                "segmentation_step": parameters.segmentation_step,
                "embedding": "$model/embedding",
                "embedding_batch_size": 48,
                "embedding_exclude_overlap": True,
                "plda": "$model/plda",
            },
        },
        "params": parameters.instantiation(),
    }
    temporary = folder / "config.yaml.tmp"
    temporary.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    os.replace(temporary, folder / "config.yaml")


def assemble(folder: Path, models: Mapping[str, Path], parameters: PipelineParameters) -> None:
    """Copy model files into a pipeline folder.

    `models` maps names in the folder (`embedding/pytorch_model.bin`, `plda/plda.npz`, …) to files.
    """
    for name, source in models.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(target.name + ".tmp")
        shutil.copyfile(source, temporary)
        os.replace(temporary, target)
    write_config(folder, parameters)


def pipeline_input(conversation: Conversation, coded: bool = False) -> dict[str, Any]:
    """The conversation as pyannote takes it from memory, on request through a low-bit-rate codec."""
    audio = through_codec(conversation.waveform, M4A) if coded else conversation.waveform
    return {"waveform": torch.from_numpy(audio)[None], "sample_rate": 16_000, "uri": conversation.session}


def validation_conversations(
    bank_prefix: Path, count: int, duration_s: float, seed: int
) -> list[Conversation]:
    """Conversations of 2, 3, 4, 2, … speakers whom the models were not trained on, each of another family."""
    bank = UtteranceBank(bank_prefix)
    mixer = ConversationMixer(validation_subset(bank))
    talks = []
    for index in range(count):
        rng = random.Random(seed + index)
        cast = [rng.choice(family) for family in rng.sample(validation_speakers(bank), 2 + index % 3)]
        talks.append(mixer.mix(seed + index, duration_s, cast))
    return talks


@dataclass(frozen=True)
class Trial:
    """What one set of parameters achieves on the validation conversations; rates are shares of all speech."""

    parameters: PipelineParameters
    der: float
    missed: float
    false_alarm: float
    confusion: float
    wrong_counts: int
    """Conversations with a wrong number of speakers."""

    @property
    def cost(self) -> float:
        """What tuning minimises: a wrong number of speakers weighs as much as 2 % DER."""
        return self.der + 0.02 * self.wrong_counts


class Tuner:
    """Runs the networks once per conversation and clusters again for each set of parameters."""

    def __init__(self, folder: Path, conversations: Iterable[Conversation]) -> None:
        pipeline = Pipeline.from_pretrained(folder)
        assert pipeline is not None
        self.pipeline = pipeline
        self.pipeline.training = True  # keeps segmentation and embeddings in the file's dictionary
        self.items = [
            (pipeline_input(talk, coded=index % 3 == 2), annotation(from_truth(talk.truth()).turns or ()))
            for index, talk in enumerate(conversations)
        ]

    def trial(self, parameters: PipelineParameters) -> Trial:
        """Score one set of parameters over all conversations."""
        self.pipeline.instantiate(parameters.instantiation())
        metric = DiarizationErrorRate(collar=0.0, skip_overlap=False)
        wrong = 0
        for file, reference in self.items:
            found = self.pipeline.apply(file).speaker_diarization
            metric(reference, found, uem=reference.get_timeline().extent())
            wrong += len(found.labels()) != len(reference.labels())
        parts = metric[:]
        total = parts["total"]
        return Trial(
            parameters,
            abs(metric),
            parts["missed detection"] / total,
            parts["false alarm"] / total,
            parts["confusion"] / total,
            wrong,
        )


def tune(tuner: Tuner, start: PipelineParameters) -> list[Trial]:
    """Try a grid of clustering parameters, then gaps to close with the best of them; best trial first."""
    grid = itertools.product((0.6, 0.64, 0.68, 0.72, 0.76, 0.8), (12, 20))
    trials = [tuner.trial(replace(start, threshold=t, min_cluster_size=size)) for t, size in grid]
    best = min(trials, key=lambda trial: trial.cost).parameters
    trials += [tuner.trial(replace(best, min_duration_off=gap)) for gap in (0.1, 0.2)]
    return sorted(trials, key=lambda trial: trial.cost)


def tune_to_file(folder: Path, conversations: Iterable[Conversation], output: Path, threads: int = 1) -> None:
    """Tune the pipeline in `folder` and write the best parameters with all trials as JSON."""
    torch.set_num_threads(threads)
    trials = tune(Tuner(folder, conversations), PipelineParameters())
    for trial in trials[:5]:
        log.info("%s", trial)
    content = {"parameters": asdict(trials[0].parameters), "trials": [asdict(trial) for trial in trials]}
    temporary = output.with_name(output.name + ".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, output)


def score_recordings(folder: Path, truth: Path, threads: int = 1) -> Scores:
    """Diarize every recording beside a truth file with the pipeline alone and score it."""
    torch.set_num_threads(threads)
    pipeline = Pipeline.from_pretrained(folder)
    assert pipeline is not None
    both = []
    for path in sorted(truth.glob("*.json")):
        wanted = from_truth(json.loads(path.read_text(encoding="utf-8")))
        recording = next(p for p in sorted(truth.glob(f"{path.stem}.*")) if p.suffix != ".json")
        waveform = torch.from_numpy(read_audio(recording))[None]
        found = pipeline({"waveform": waveform, "sample_rate": 16_000, "uri": path.stem})
        turns = found.speaker_diarization.itertracks(yield_label=True)
        said = Said(wanted.session, turns=tuple(SpeakerTurn(t.start, t.end, label) for t, _, label in turns))
        both.append((wanted, said))
    return evaluate(both, Options())
