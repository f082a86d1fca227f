"""The adapter of faster-whisper: decode windows of audio into timed words."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sessionscribe.artifacts.chunk_transcript import Engine
from sessionscribe.artifacts.plan import Span
from sessionscribe.config.settings import Transcribe
from sessionscribe.core.errors import UserError
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.engines import models, pool
from sessionscribe.engines.decoded import Decoded
from sessionscribe.engines.prompts import Prompt, prompt, tokens
from sessionscribe.engines.stitching import restored, stitched
from sessionscribe.engines.windows import WindowDecoder
from sessionscribe.jobs import metrics

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Audio = NDArray[np.float32]
    Window = Sequence[Span]

FILES = models.WHISPER_FILES
SEED = 0
"""Seed of all random number generators."""


@dataclass(eq=False)
class _Loaded:
    """The parts that are loaded once per process."""

    whisper: Any
    windows: WindowDecoder
    engine: Engine


class SpeechModel:
    """A speech model for one job; it is loaded once per process.

    Args:
        options: model (a folder or a hub id), device and compute type.
        threads: CPU threads.

    Raises:
        UserError: the model is missing or cannot be loaded.
    """

    def __init__(self, options: Transcribe, *, threads: int) -> None:
        folder = models.locate(options.model, FILES)
        if folder is None:
            why = "it is not on this machine"
            raise models.unavailable("speech model", options.model, "transcribe.model", why)
        models.check_folder(folder, FILES)
        # Jobs never ask the hub: ``preflight`` has fetched the models.
        os.environ["HF_HUB_OFFLINE"] = "1"
        device = models.machine_device() if options.device == "auto" else options.device
        self._model, self._folder, self._device = options.model, folder, device
        self._threads = threads if device == "cpu" else 0
        with self._named_errors():  # there may be no GPU
            self._kind = _compute_type(options, device)
        self._loaded = pool.hold(
            ("whisper", options.model, device, self._kind, self._threads),
            self._load,
            size_bytes=(folder / "model.bin").stat().st_size,
            device=device,
        )
        self.engine = self._loaded.engine

    def _load(self) -> _Loaded:
        import ctranslate2  # noqa: PLC0415 -- heavy
        import faster_whisper  # noqa: PLC0415 -- heavy

        from sessionscribe.engines.features import Features  # noqa: PLC0415 -- heavy

        ctranslate2.set_random_seed(SEED)
        with self._named_errors():
            whisper = faster_whisper.WhisperModel(
                str(self._folder), device=self._device, compute_type=self._kind, cpu_threads=self._threads
            )
        whisper.feature_extractor = Features(whisper.feature_extractor)
        engine = Engine(
            name="faster-whisper",
            version=faster_whisper.__version__,
            model=models.describe(self._model, FILES),
            device=self._device,
            compute_type=self._kind,
        )
        return _Loaded(whisper, WindowDecoder(whisper, self._device), engine)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            if self._device == "cuda":
                load_cublas()
            yield
        except Exception as error:
            if self._device == "cuda":
                raise models.unloadable("speech model", self._model, "transcribe.device", error) from error
            raise models.unavailable("speech model", self._model, "transcribe.model", error) from error

    def detect_language(self, audio: Audio) -> tuple[str, float]:
        """Return the language of up to 30 s of speech ``[n]`` and its probability."""
        whisper = self._loaded.whisper
        if not whisper.model.is_multilingual:
            return "en", 1.0
        features = whisper.feature_extractor(audio[: 30 * SAMPLE_RATE])
        with metrics.on_device(self._device):
            language, probability, _ = whisper.detect_language(features=features)
        return str(language), float(probability)

    def unused_prompt(self, options: Transcribe) -> list[str]:
        """Return the hotwords and the words of the initial prompt that do not fit."""
        return self._prompt(options).unused

    def _prompt(self, options: Transcribe) -> Prompt:
        """Return the part of the prompt that fits."""
        tokenizer = self._loaded.whisper.hf_tokenizer
        return prompt(options, lambda text: tokens(tokenizer, text))

    def transcribe(
        self, audio: Audio, windows: Sequence[Window], language: str, options: Transcribe
    ) -> list[Decoded]:
        """Decode windows and return a segment for each. Several threads may call this at once.

        Args:
            audio: mono samples ``[n]`` at 16 kHz, -1 to 1.
            windows: spans of speech in samples of ``audio``, in order, at most 30 s in each window.
            language: a language code.
            options: the decoding settings.

        Raises:
            UserError: the language code is unknown.
        """
        if not self._loaded.whisper.model.is_multilingual:
            language = "en"
        settings: dict[str, Any] = {
            "beam_size": options.beam_size,
            "temperature": 0.0,
            "hotwords": self._prompt(options).text or None,
            "no_repeat_ngram_size": options.no_repeat_ngram_size,
            "repetition_penalty": options.repetition_penalty,
            "word_timestamps": True,
        }
        given = [(window[0].start / SAMPLE_RATE, stitched(audio, window)) for window in windows]
        try:
            found = self._loaded.windows.decode(given, language, settings, batch_size=options.batch_size)
        except ValueError as error:
            if "language code" not in str(error):
                raise
            hint = "Use a code such as `en`, or `auto`"
            what = f"`{language}` is not a language code"
            raise UserError(what, where="transcribe.language", hint=hint) from error
        return [
            replace(restored(segment, window), window=number, language=language)
            for number, (segment, window) in enumerate(zip(found, windows, strict=True))
        ]


speech_model = SpeechModel


def _compute_type(options: Transcribe, device: str) -> str:
    """Return the chosen compute type, or float32 if the device does not support it."""
    import ctranslate2  # noqa: PLC0415 -- heavy

    kinds = ctranslate2.get_supported_compute_types(device)
    return options.compute_type if options.compute_type in kinds else "float32"


def load_cublas() -> None:
    """Load CUDA 12's cuBLAS from its package, if installed, so that CTranslate2 needs no LD_LIBRARY_PATH."""
    import ctypes  # noqa: PLC0415
    from importlib.metadata import PackageNotFoundError, files  # noqa: PLC0415

    try:
        found = {file.name: str(file.locate()) for file in files("nvidia-cublas-cu12") or ()}
    except PackageNotFoundError:
        return
    for name in ("libcublasLt.so.12", "libcublas.so.12"):  # the second needs the first
        if name in found:
            ctypes.CDLL(found[name], mode=ctypes.RTLD_GLOBAL)
