"""Sequential decoding with faster-whisper: window after window, with retries, and nothing left out unseen."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sessionscribe import meter
from sessionscribe.artifacts import SAMPLE_RATE, Span
from sessionscribe.engines.decoded import Decoded, words_of
from sessionscribe.text import join_words, single_spaced

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Audio = NDArray[np.float32]

WINDOW_S = 30.0
SILENT = "taken for silence: no-speech probability above its threshold, mean log probability below"
INVENTED = "taken for invented: improbable words in a long silence"


def decode(
    model: Any,
    audio: Audio,
    windows: Sequence[Span],
    language: str | None,
    settings: Mapping[str, Any],
    *,
    device: str,
    load_copy: Callable[[], Any],
) -> tuple[list[Decoded], str]:
    """Decode the windows of ``audio`` one after the other; return the segments and the language.

    Segments that the engine leaves out are among them, marked.

    Args:
        model: a loaded ``faster_whisper.WhisperModel``; it is not changed, and may be in use elsewhere.
        audio: samples ``[n]`` at 16 kHz.
        windows: in samples, of any length, in order, without overlap.
        language: a code, or None to detect it here.
        settings: further arguments of ``WhisperModel.transcribe``.
        device: where the model is.
        load_copy: loads the model's ``ctranslate2.models.Whisper`` once more.

    Raises:
        ValueError: the language is none.
    """
    witness = _Witness(windows)
    view = copy.copy(model)
    view.model = _Repeatable(model.model, device, load_copy)
    view.logger = witness
    view.generate_with_fallback = witness.watching_search(view.generate_with_fallback)
    view.add_word_timestamps = witness.watching_words(view.add_word_timestamps)
    bounds = [edge / SAMPLE_RATE for window in windows for edge in (window.start, window.stop)]
    try:
        segments, info = view.transcribe(audio, language=language, clip_timestamps=bounds, **settings)
        found = [_decoded(segment) for segment in segments]
    finally:
        witness.settle()
        # They refer to the view: the memory of the model's copy would wait for the collector.
        del view.generate_with_fallback, view.add_word_timestamps
    return sorted([*found, *witness.left_out], key=lambda segment: segment.start), str(info.language)


class _Repeatable:
    """A ``ctranslate2.models.Whisper`` whose retries are the same each time.

    A retry draws at random, from a generator that belongs to the model's thread and cannot be set back: what
    it draws would depend on all that the thread did before. So a job that has to draw does so with a copy of
    the model, whose thread is new; where every generator begins was set when the model was loaded.
    """

    def __init__(self, model: Any, device: str, load_copy: Callable[[], Any]) -> None:
        self._model, self._device, self._load_copy = model, device, load_copy
        self._copy: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def encode(self, *args: Any, **more: Any) -> Any:
        with meter.on_device(self._device):
            return self._model.encode(*args, **more)

    def align(self, *args: Any, **more: Any) -> Any:
        with meter.on_device(self._device):
            return self._model.align(*args, **more)

    def generate(self, *args: Any, **more: Any) -> Any:
        chosen = self._model
        if more.get("sampling_temperature", 0) > 0:
            self._copy = self._copy or self._load_copy()
            chosen = self._copy
        with meter.on_device(self._device):
            return chosen.generate(*args, **more)


@dataclass(frozen=True)
class _Result:
    """What the search found in a window."""

    tokens: list[int]
    scores: Mapping[str, Any]
    decode: Callable[[list[int]], str]

    def segment(self, tokens: list[int], start: float, end: float, words: Any, reason: str) -> Decoded:
        """Return a segment of the window that was left out."""
        said = words_of(words)
        text = join_words(said) or single_spaced(self.decode(tokens))
        return Decoded(text, start, end, said, **self.scores, left_out=reason)


class _Witness:
    """Sees what the engine leaves out: it stands in for its logger, and watches two of its methods.

    The logger alone is told of windows taken for silence. Segments that are taken for invented vanish
    from the list to which words were added.
    """

    def __init__(self, windows: Sequence[Span]) -> None:
        self.left_out: list[Decoded] = []
        self._windows = windows
        self._at = 0.0
        self._result: _Result | None = None
        self._pieces: list[dict[str, Any]] = []
        self._before: list[dict[str, Any]] = []

    def isEnabledFor(self, _: int) -> bool:  # noqa: N802 -- a logger's name
        return True

    def info(self, *_: object) -> None:
        """Say nothing."""

    warning = info

    def debug(self, message: str, *args: Any) -> None:
        """Note where a window begins, and whether it was left out."""
        if message.startswith("Processing segment at"):
            self.settle()
            *hours, minutes, seconds = str(args[0]).split(":")
            self._at = 3600 * float(hours[0] if hours else 0) + 60 * float(minutes) + float(seconds)
        elif message.startswith("No speech threshold is met") and self._result:
            tokens = self._result.tokens
            self.left_out.append(self._result.segment(tokens, self._at, self._end(), (), SILENT))

    def settle(self) -> None:
        """Note which segments of the last window have vanished."""
        for piece in self._before[len(self._pieces) :]:
            if self._result and piece["words"]:
                given = piece["tokens"], piece["start"], piece["end"], piece["words"]
                self.left_out.append(self._result.segment(*given, INVENTED))
        self._pieces, self._before = [], []

    def watching_search(self, search: Callable[..., Any]) -> Callable[..., Any]:
        """Return the engine's ``generate_with_fallback``, its results noted."""

        def watched(encoded: Any, prompt: Any, tokenizer: Any, options: Any) -> Any:
            found = search(encoded, prompt, tokenizer, options)
            result, log_probability, temperature, compression = found
            scores = {
                "average_log_probability": float(log_probability),
                "no_speech_probability": float(result.no_speech_prob),
                "compression_ratio": float(compression),
                "temperature": float(temperature),
            }
            self._result = _Result(list(result.sequences_ids[0]), scores, tokenizer.decode)
            return found

        return watched

    def watching_words(self, add_words: Callable[..., Any]) -> Callable[..., Any]:
        """Return the engine's ``add_word_timestamps``, the segments of the window noted."""

        def watched(segments: list[list[dict[str, Any]]], *args: Any, **more: Any) -> Any:
            found = add_words(segments, *args, **more)
            self._pieces, self._before = segments[0], list(segments[0])
            return found

        return watched

    def _end(self) -> float:
        stops = (window.stop / SAMPLE_RATE for window in self._windows)
        return min(self._at + WINDOW_S, next((stop for stop in stops if stop > self._at), self._at))


def _decoded(segment: Any) -> Decoded:
    words = words_of(vars(word) for word in segment.words or ())
    return Decoded(
        text=join_words(words) or single_spaced(segment.text),
        start=float(segment.start),
        end=float(segment.end),
        words=words,
        average_log_probability=float(segment.avg_logprob),
        no_speech_probability=float(segment.no_speech_prob),
        compression_ratio=float(segment.compression_ratio),
        temperature=float(segment.temperature or 0.0),
    )
