"""The adapter of faster-whisper: a model, windows of audio in, timed words out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionscribe import models
from sessionscribe.artifacts import SAMPLE_RATE, Engine, Span
from sessionscribe.config import Transcribe
from sessionscribe.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Audio = NDArray[np.float32]

FOLDER_FILES = ("model.bin", "config.json", "tokenizer.json")


@dataclass(frozen=True)
class TimedWord:
    """A word, in seconds from the start of the decoded audio."""

    text: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True)
class Decoded:
    """One segment as the engine gives it, in seconds from the start of the decoded audio."""

    text: str
    start: float
    end: float
    words: tuple[TimedWord, ...]
    average_log_probability: float
    no_speech_probability: float
    compression_ratio: float
    temperature: float


class SpeechModel:
    """A loaded speech model.

    Args:
        options: model (a folder or a hub id), device and compute type.
        threads: CPU threads.

    Raises:
        UserError: the model cannot be had; the message names the ways out.
    """

    def __init__(self, options: Transcribe, *, threads: int) -> None:
        if Path(options.model).is_dir():
            check_folder(Path(options.model))
        # What comes from the hub was fetched before (``preflight``): a job never asks it, for nothing at all.
        os.environ["HF_HUB_OFFLINE"] = "1"
        import ctranslate2  # noqa: PLC0415
        import faster_whisper  # noqa: PLC0415

        device = models.machine_device() if options.device == "auto" else options.device
        if device == "cuda":
            load_cublas()
        try:
            kinds = ctranslate2.get_supported_compute_types(device)
            # A session that was begun on a GPU goes on where there is none, in a number format that is there.
            kind = options.compute_type if options.compute_type in kinds else "float32"
            self._model = faster_whisper.WhisperModel(
                options.model, device=device, compute_type=kind, cpu_threads=threads
            )
        except Exception as error:
            if device == "cuda":
                raise models.unloadable("speech model", options.model, "transcribe.device", error) from error
            raise models.unavailable("speech model", options.model, "transcribe.model", error) from error
        self._batched = faster_whisper.BatchedInferencePipeline(self._model)
        self.engine = Engine(
            name="faster-whisper",
            version=faster_whisper.__version__,
            model=models.describe(options.model),
            device=device,
            compute_type=kind,
        )

    def detect_language(self, audio: Audio) -> tuple[str, float]:
        """Return the language of up to 30 s of speech ``[n]`` and its probability."""
        if not self._model.model.is_multilingual:
            return "en", 1.0
        language, probability, _ = self._model.detect_language(audio=audio)
        return str(language), float(probability)

    def transcribe(
        self, audio: Audio, windows: Sequence[Span], language: str | None, options: Transcribe
    ) -> tuple[list[Decoded], str]:
        """Decode ``windows`` (in samples of ``audio``) and return the segments and the language.

        Args:
            audio: mono samples ``[n]`` at 16 kHz, -1 to 1.
            windows: stretches of speech, in order, without overlap.
            language: a code, or None to detect it here.
            options: how to decode.
        """
        common: dict[str, Any] = {
            "language": language,
            "beam_size": options.beam_size,
            "temperature": list(options.temperatures),
            # As hotwords the prompt stands before every window; the engine's own one before the first only.
            "hotwords": f"{options.initial_prompt} {options.hotwords}".strip() or None,
            "no_speech_threshold": options.no_speech_threshold,
            "log_prob_threshold": options.log_prob_threshold,
            "compression_ratio_threshold": options.compression_ratio_threshold,
            "no_repeat_ngram_size": options.no_repeat_ngram_size,
            "repetition_penalty": options.repetition_penalty,
            "condition_on_previous_text": False,
            "word_timestamps": True,
        }
        try:
            if options.decoding == "batched":
                clips = [{"start": w.start / SAMPLE_RATE, "end": w.stop / SAMPLE_RATE} for w in windows]
                segments, info = self._batched.transcribe(
                    audio, clip_timestamps=clips, batch_size=options.batch_size, **common
                )
            else:
                bounds = [edge / SAMPLE_RATE for w in windows for edge in (w.start, w.stop)]
                segments, info = self._model.transcribe(
                    audio,
                    clip_timestamps=bounds,
                    hallucination_silence_threshold=options.hallucination_silence_s or None,
                    **common,
                )
            return [_decoded(segment) for segment in segments], str(info.language)
        except ValueError as error:
            if "language code" not in str(error):
                raise
            hint = "Use a code such as `en`, or `auto`"
            raise UserError(
                f"`{language}` is no language code", where="transcribe.language", hint=hint
            ) from error


def load_cublas() -> None:
    """Load CUDA 12's cuBLAS from its package, so that CTranslate2 finds it by name without LD_LIBRARY_PATH.

    Without the package (another set-up, not Linux) CTranslate2 is left to find the system's.
    """
    import ctypes  # noqa: PLC0415
    from importlib.metadata import PackageNotFoundError, files  # noqa: PLC0415

    try:
        found = {file.name: str(file.locate()) for file in files("nvidia-cublas-cu12") or ()}
    except PackageNotFoundError:
        return
    for name in ("libcublasLt.so.12", "libcublas.so.12"):  # the second one needs the first
        if name in found:
            ctypes.CDLL(found[name], mode=ctypes.RTLD_GLOBAL)


def check_folder(folder: Path) -> None:
    """Check that a folder holds a CTranslate2 Whisper model.

    Raises:
        UserError: a file is missing; without ``tokenizer.json`` the engine would ask the hub for one.
    """
    missing = [name for name in FOLDER_FILES if not (folder / name).is_file()]
    if missing:
        hint = (
            "Point `transcribe.model` to a folder made by ct2-transformers-converter with its tokenizer.json"
        )
        raise UserError(
            f"is no CTranslate2 Whisper model ({', '.join(missing)} missing)", where=folder, hint=hint
        )


def _decoded(segment: Any) -> Decoded:
    return Decoded(
        text=segment.text.strip(),
        start=float(segment.start),
        end=float(segment.end),
        words=tuple(_joined(segment.words or ())),
        average_log_probability=float(segment.avg_logprob),
        no_speech_probability=float(segment.no_speech_prob),
        compression_ratio=float(segment.compression_ratio),
        temperature=float(segment.temperature or 0.0),
    )


def _joined(words: Iterable[Any]) -> list[TimedWord]:
    """Return the engine's words; the pieces of a Latin word in a language without spaces become one word."""
    joined: list[TimedWord] = []
    for word in words:
        text = word.word
        piece = TimedWord(text.strip(), float(word.start), float(word.end), float(word.probability))
        if joined and _latin(joined[-1].text[-1:]) and _latin(text[:1]):
            last = joined.pop()
            sure = min(last.probability, piece.probability)
            piece = TimedWord(last.text + piece.text, last.start, piece.end, sure)
        joined.append(piece)
    return joined


def _latin(character: str) -> bool:
    return character.isascii() and character.isalnum()
