"""The interface of engines, and their selection by the files in a model's folder.

Another engine is a module that implements `SpeechEngine` or `DiarizationEngine`, in a package with an entry
point of the group ``sessionscribe.speech`` or ``sessionscribe.diarization``. It takes precedence over the
built-in engines, and should import its libraries only when it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol, cast

from sessionscribe.engines import models

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sessionscribe.artifacts.chunk_transcript import Engine
    from sessionscribe.artifacts.plan import Span
    from sessionscribe.artifacts.speakers import EmbeddingsHeader, Turn
    from sessionscribe.audio.sliding_window import SlidingWindow
    from sessionscribe.config.settings import Diarize, Transcribe
    from sessionscribe.engines.decoded import Decoded

    Audio = NDArray[np.float32]
    """Mono samples ``[n]`` at 16 kHz, -1 to 1."""

SPEECH, DIARIZATION = "sessionscribe.speech", "sessionscribe.diarization"
OURS = {SPEECH: "sessionscribe.engines.whisper", DIARIZATION: "sessionscribe.engines.pyannote"}


class SpeechModel(Protocol):
    """A speech model for one job."""

    engine: Engine

    def detect_language(self, audio: Audio) -> tuple[str, float]:
        """Return the language of up to 30 s of speech and its probability."""

    def transcribe(
        self, audio: Audio, windows: Sequence[Sequence[Span]], language: str, options: Transcribe
    ) -> list[Decoded]:
        """Decode windows, each a sequence of spans of ``audio``; segments have window and language."""

    def unused_prompt(self, options: Transcribe) -> list[str]:
        """Return the hotwords and the words of the initial prompt that do not fit."""


class SpeechEngine(Protocol):
    """A module for a kind of speech models."""

    FILES: Sequence[str]
    """Patterns of the files in such a model's folder."""

    def speech_model(self, options: Transcribe, *, threads: int) -> SpeechModel:
        """Return the model of ``options.model``, loaded once per process."""


class WindowModels(Protocol):
    """Models that find the speakers in a window and compute an embedding of each."""

    identity: str

    def grid(self, step: float | None) -> SlidingWindow:
        """Return windows with a step in shares of their length (None: the engine's default)."""

    def look(self, samples: Audio, grid: SlidingWindow) -> tuple[Audio, Audio]:
        """Run the models on each window of ``samples``, the first of which starts at the first sample.

        Returns:
            Segmentations ``[windows, frames, speakers]`` and embeddings ``[windows, speakers, dimension]``.
        """

    def describe(self, session: str, grid: SlidingWindow, windows: range) -> EmbeddingsHeader:
        """Return the header of the results for these windows."""


class DiarizationEngine(Protocol):
    """A module for a kind of diarization pipelines."""

    FILES: Sequence[str]
    """Patterns of the files in such a pipeline's folder."""

    def window_models(self, options: Diarize) -> WindowModels:
        """Return the pipeline's models, loaded once per process."""

    def cluster(
        self, about: EmbeddingsHeader, segmentations: Audio, embeddings: Audio, options: Diarize
    ) -> tuple[list[Turn], list[Turn], str | None]:
        """Return turns, turns without overlap, and a remark if a limit was exceeded; loads no model."""


def speech_engine(model: str) -> SpeechEngine:
    """Return the engine of a resolved speech model (a folder or a hub id)."""
    return cast(SpeechEngine, _engine(SPEECH, model))


def diarization_engine(model: str) -> DiarizationEngine:
    """Return the engine of a resolved diarization pipeline (a folder or a hub id)."""
    return cast(DiarizationEngine, _engine(DIARIZATION, model))


def _engine(group: str, model: str) -> Any:
    """Return the module whose files are in a model's folder, or else ours, which reports missing files."""
    if folder := models.locate(model):
        for found in entry_points(group=group):
            engine = found.load()
            if not models.missing_files(folder, engine.FILES):
                return engine
    return import_module(OURS[group])
