"""The adapter of pyannote.audio: a session's samples in, turns out."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

from sessionscribe import models
from sessionscribe.artifacts import SAMPLE_RATE, Turn
from sessionscribe.config import Diarize

# Read when pyannote is imported: nothing about a recording may leave this machine.
os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
# Read when OpenMP starts: threads that wait must not spin, or a busy machine does six times the work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class DiarizationPipeline:
    """A loaded diarization pipeline.

    Args:
        options: model (a folder or a hub id), device, step.
        threads: CPU threads.

    Raises:
        UserError: the pipeline cannot be had; the message names the ways out.
    """

    def __init__(self, options: Diarize, *, threads: int) -> None:
        # What comes from the hub was fetched before (``preflight``): a job never asks it, for nothing at all.
        os.environ["HF_HUB_OFFLINE"] = "1"
        warnings.filterwarnings("ignore", message=".*torchcodec.*")  # audio is handed over in memory
        import torch  # noqa: PLC0415
        from pyannote.audio import Pipeline  # noqa: PLC0415

        torch.set_num_threads(threads)
        try:
            pipeline = Pipeline.from_pretrained(options.model)
            if pipeline is None:
                raise RuntimeError("no access to the pipeline or one of its models")
        except Exception as error:
            raise models.unavailable("diarization pipeline", options.model, "diarize.model", error) from error
        device = models.machine_device() if options.device == "auto" else options.device
        if options.step is not None:
            _set_step(pipeline, options.step)
        try:
            self._pipeline: Any = pipeline.to(torch.device(device))
        except Exception as error:
            raise models.unloadable("diarization pipeline", options.model, "diarize.device", error) from error
        self._torch = torch

    def diarize(self, samples: NDArray[np.float32], options: Diarize) -> tuple[list[Turn], list[Turn]]:
        """Return the turns and the exclusive turns (at most one speaker at a time) of ``samples`` ``[n]``."""
        bounds = {
            name: value
            for name in ("num_speakers", "min_speakers", "max_speakers")
            if (value := getattr(options, name)) is not None
        }
        waveform = self._torch.from_numpy(samples)[None]
        found = self._pipeline({"waveform": waveform, "sample_rate": SAMPLE_RATE}, **bounds)
        return _turns(found.speaker_diarization), _turns(found.exclusive_speaker_diarization)


def _set_step(pipeline: Any, step: float) -> None:
    pipeline.segmentation_step = step
    pipeline._segmentation.step = step * pipeline._segmentation.duration


def _turns(annotation: Any) -> list[Turn]:
    turns = [
        Turn(start=round(max(0.0, segment.start), 3), end=round(segment.end, 3), speaker=str(label))
        for segment, _, label in annotation.itertracks(yield_label=True)
    ]
    return sorted(turns, key=lambda turn: (turn.start, turn.end, turn.speaker))
