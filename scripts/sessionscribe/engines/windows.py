"""Batched decoding: windows of at most 30 s, several at once on a GPU, with the pieces of faster-whisper.

faster-whisper's own batched pipeline works out the features of all windows before it decodes the first one,
and keeps a state that its callers would share. Here one thread per model decodes on the GPU, while the
threads of the jobs read audio, work out the features of the next batch and make words of the last one.

What is heard in a window can depend on the windows beside it in the batch, if ever so little: the last digits
of floating-point sums do, and CTranslate2 aligns some words a frame (20 ms) earlier or later in a batch. So a
batch holds windows of one chunk only. On a CPU words are aligned window by window; with int8 the composition
of batches then changes nothing at all.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from sessionscribe.core.text import join_words, single_spaced
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.engines.decoded import Decoded, words_of
from sessionscribe.jobs import metrics

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Audio = NDArray[np.float32]

AHEAD = 2
"""Batches of a job that are decoded or wait for it, while the job works on another one."""
FEATURE_THREADS = 4
SHORT_S = 5.0
"""On a CPU, windows up to this long are padded to 10 s, not to 30 s: a sixth of the time to encode them.

In such windows (speech that is decoded again, as a rule) `base` hears the same so; in longer ones it goes
round in circles more often.
"""
SHORT_FRAMES = 1000
CPU_BATCH = 4
"""Most windows decoded at once on a CPU: more take memory and gain nothing."""


@dataclass(frozen=True)
class _Recipe:
    """How windows are decoded."""

    tokenizer: Any
    options: Any


@dataclass(frozen=True)
class _Heard:
    """What the model said in a window: pieces of text, and where their tokens lie."""

    pieces: list[dict[str, Any]]
    alignment: list[dict[str, Any]]


@dataclass(eq=False)
class _Window:
    """A window that is to be decoded, and what will be heard in it. Times are in seconds."""

    features: Audio
    start: float
    duration: float
    recipe: _Recipe
    context: Context
    heard: Future[_Heard] = field(default_factory=Future)


class WindowDecoder:
    """Decodes windows with one model, for any number of jobs at once.

    Args:
        model: a loaded ``faster_whisper.WhisperModel``.
        device: ``cpu`` or ``cuda``.
        threaded: whether a thread of its own decodes; by default on a GPU.
    """

    def __init__(self, model: Any, device: str, *, threaded: bool | None = None) -> None:
        import faster_whisper  # noqa: PLC0415 -- heavy

        self._model, self._device = model, device
        self._pipeline = faster_whisper.BatchedInferencePipeline(model)
        threaded = device == "cuda" if threaded is None else threaded
        self._thread = ThreadPoolExecutor(1, "decoder") if threaded else None
        self._helpers = ThreadPoolExecutor(FEATURE_THREADS, "features") if threaded else None

    def decode(
        self,
        windows: Sequence[tuple[float, Audio]],
        language: str,
        settings: Mapping[str, Any],
        *,
        batch_size: int,
    ) -> list[Decoded]:
        """Decode windows and return their segments, in order.

        Args:
            windows: for each its start in seconds, and its samples ``[n]`` at 16 kHz, at most 30 s.
            language: a code that the model knows.
            settings: arguments of ``BatchedInferencePipeline.transcribe`` that say how to decode.
            batch_size: windows decoded at once; on a CPU at most `CPU_BATCH`.

        Raises:
            ValueError: the language is none.
        """
        recipe = self._recipe(language, settings)
        size = min(batch_size, CPU_BATCH) if self._device == "cpu" else batch_size
        found: list[Decoded] = []
        ahead: deque[list[_Window]] = deque()
        scribe = _Scribe(self._model, recipe)
        for group in self._batches(windows, size):
            batch = self._prepared(group, recipe)
            self._submit(batch)
            ahead.append(batch)
            while len(ahead) > AHEAD:
                found += scribe.segments(ahead.popleft())
        while ahead:
            found += scribe.segments(ahead.popleft())
        return found

    def _batches(
        self, windows: Iterable[tuple[float, Audio]], size: int
    ) -> Iterator[list[tuple[float, Audio]]]:
        """Yield up to ``size`` windows at once, in order, short ones and others apart."""
        for _, group in groupby(windows, key=lambda window: self._is_short(window[1])):
            while batch := list(islice(group, size)):
                yield batch

    def _recipe(self, language: str, settings: Mapping[str, Any]) -> _Recipe:
        import numpy as np  # noqa: PLC0415 -- heavy
        from faster_whisper.tokenizer import Tokenizer  # noqa: PLC0415 -- heavy

        # The engine makes its options of the settings when it is given an empty clip, and decodes nothing.
        _, info = self._pipeline.transcribe(
            np.zeros(0, np.float32), language=language, clip_timestamps=[{"start": 0, "end": 0}], **settings
        )
        multilingual = self._model.model.is_multilingual
        tokenizer = Tokenizer(
            self._model.hf_tokenizer, multilingual, task="transcribe", language=info.language
        )
        options = info.transcription_options
        return _Recipe(tokenizer, options)

    def _prepared(self, windows: Sequence[tuple[float, Audio]], recipe: _Recipe) -> list[_Window]:
        """Work out the features of a batch's windows, all padded to the same length."""
        every = map if self._helpers is None else self._helpers.map
        features = every(self._features, [samples for _, samples in windows])
        return [
            _Window(found, start, len(samples) / SAMPLE_RATE, recipe, copy_context())
            for (start, samples), found in zip(windows, features, strict=True)
        ]

    def _features(self, samples: Audio) -> Audio:
        from faster_whisper.audio import pad_or_trim  # noqa: PLC0415 -- heavy

        extractor = self._model.feature_extractor
        length = SHORT_FRAMES if self._is_short(samples) else extractor.nb_max_frames
        padded: Audio = pad_or_trim(extractor(samples)[..., :-1], length)
        return padded

    def _is_short(self, samples: Audio) -> bool:
        return self._device == "cpu" and len(samples) <= SHORT_S * SAMPLE_RATE

    def _submit(self, batch: list[_Window]) -> None:
        if self._thread is None:
            self._run(batch)
        else:
            self._thread.submit(batch[0].context.run, self._run, batch)

    def _run(self, batch: list[_Window]) -> None:
        """Decode a batch and hand each window what was heard, or the error, to the job that waits for it."""
        try:
            with metrics.on_device(self._device):
                heard = self._hear(batch)
        except Exception as error:
            for window in batch:
                window.heard.set_exception(error)
        else:
            for window, found in zip(batch, heard, strict=True):
                window.heard.set_result(found)

    def _hear(self, batch: list[_Window]) -> list[_Heard]:
        import numpy as np  # noqa: PLC0415 -- heavy

        model, recipe = self._model, batch[0].recipe
        features = np.stack([window.features for window in batch])
        encoded, outputs = self._pipeline.generate_segment_batched(features, recipe.tokenizer, recipe.options)
        frames = [int(math.ceil(window.duration) * model.frames_per_second) for window in batch]
        pieces: list[list[dict[str, Any]]] = []
        for window, output, size in zip(batch, outputs, frames, strict=True):
            parts, *_ = model._split_segments_by_timestamps(
                tokenizer=recipe.tokenizer,
                tokens=output["tokens"],
                time_offset=window.start,
                segment_size=size,
                segment_duration=window.duration,
                seek=0,
            )
            shared = {
                "seek": window.start * model.frames_per_second,
                "avg_logprob": output["avg_logprob"],
                "no_speech_prob": output["no_speech_prob"],
            }
            pieces.append([part | shared for part in parts])
        texts = [_text_tokens(parts, recipe.tokenizer.eot) for parts in pieces]
        alignments = self._align(recipe.tokenizer, texts, encoded, frames)
        return [_Heard(parts, found) for parts, found in zip(pieces, alignments, strict=True)]

    def _align(
        self, tokenizer: Any, texts: list[list[int]], encoded: Any, frames: list[int]
    ) -> list[list[dict[str, Any]]]:
        """Find where the words of each window lie; from a GPU's memory windows cannot be taken one by one."""
        if self._device != "cpu":
            found: list[list[dict[str, Any]]] = self._model.find_alignment(tokenizer, texts, encoded, frames)
            return found
        import ctranslate2  # noqa: PLC0415 -- heavy
        import numpy as np  # noqa: PLC0415 -- heavy

        every = np.array(encoded)
        return [
            self._model.find_alignment(
                tokenizer, [text], ctranslate2.StorageView.from_array(every[i : i + 1]), frames[i : i + 1]
            )[0]
            for i, text in enumerate(texts)
        ]


class _Scribe:
    """Makes segments of what was heard, for one job: a word may depend on where the last one ended."""

    def __init__(self, model: Any, recipe: _Recipe) -> None:
        self.frames_per_second = model.frames_per_second
        self._add_words = type(model).add_word_timestamps
        self._recipe = recipe
        self._alignments: list[list[dict[str, Any]]] = []
        self._spoken_until = 0.0
        self._count = 0

    def find_alignment(self, *_: Any) -> list[list[dict[str, Any]]]:
        """Give the engine's ``add_word_timestamps``, which takes this object for its model, what is known."""
        return self._alignments

    def segments(self, batch: list[_Window]) -> list[Decoded]:
        """Wait until a batch is decoded and return its segments."""
        from faster_whisper.transcribe import get_compression_ratio  # noqa: PLC0415 -- heavy

        tokenizer, options = self._recipe.tokenizer, self._recipe.options
        found: list[Decoded] = []
        for window in batch:
            heard = window.heard.result()
            self._alignments = [heard.alignment]
            self._spoken_until = self._add_words(
                self,
                [heard.pieces],
                tokenizer,
                None,
                None,
                options.prepend_punctuations,
                options.append_punctuations,
                self._spoken_until,
            )
            for piece in heard.pieces:
                text, words = tokenizer.decode(piece["tokens"]), words_of(piece["words"])
                found.append(
                    Decoded(
                        text=join_words(words) or single_spaced(text),
                        start=round(piece["start"], 3),
                        end=round(piece["end"], 3),
                        words=words,
                        avg_logprob=float(piece["avg_logprob"]),
                        no_speech_prob=float(piece["no_speech_prob"]),
                        compression_ratio=float(get_compression_ratio(text)),
                        temperature=0.0,
                        window=self._count,
                    )
                )
            self._count += 1
        return found


def _text_tokens(pieces: list[dict[str, Any]], end: int) -> list[int]:
    return [token for piece in pieces for token in piece["tokens"] if token < end]
