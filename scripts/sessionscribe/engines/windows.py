"""Batched decoding of windows of at most 30 s, with functions of faster-whisper.

faster-whisper's own batched pipeline computes the features of all windows before it decodes the first one,
and its state is shared by all callers. Here one thread per model decodes, while the threads of the jobs read
audio, compute the features of the next batch and make words of the previous one.

The result of a window may depend slightly on the other windows of its batch: the last digits of
floating-point sums do, and CTranslate2 aligns some words a frame (20 ms) earlier or later. So a batch has
windows of one chunk only. On a CPU, words are aligned window by window; with int8, batches then make no
difference at all.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
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

Window = tuple[float, "Audio"]
"""The start of a window in seconds, and its samples ``[n]`` at 16 kHz, at most 30 s."""
Heard = tuple[dict[str, Any], list[dict[str, Any]]]
"""faster-whisper's segment of a window, and the alignment of its words."""

AHEAD = 2
"""Batches of a job in the decoder's queue, while the job works on another one."""
SHORT_S = 5.0
"""On a CPU, windows up to this long are padded to 10 s instead of 30 s, and encoded in a sixth of the time.

The words of `base` are the same in such windows (most of which are decoded for the second time); in longer
ones it would loop more often.
"""
SHORT_FRAMES = 1000
CPU_BATCH = 4
"""Largest batch on a CPU: larger ones take more memory and are not faster."""


class WindowDecoder:
    """A decoder with one model, which any number of jobs may use at once.

    Args:
        model: a loaded ``faster_whisper.WhisperModel``.
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, model: Any, device: str) -> None:
        import faster_whisper  # noqa: PLC0415 -- heavy

        self._model, self._device = model, device
        self._pipeline = faster_whisper.BatchedInferencePipeline(model)
        self._thread = ThreadPoolExecutor(1, "decoder")

    def decode(
        self, windows: Sequence[Window], language: str, settings: Mapping[str, Any], *, batch_size: int
    ) -> list[Decoded]:
        """Decode windows and return a segment for each, in order.

        Args:
            windows: their starts and samples.
            language: a language code.
            settings: decoding arguments of ``BatchedInferencePipeline.transcribe``.
            batch_size: windows decoded at once; on a CPU at most `CPU_BATCH`.

        Raises:
            ValueError: the language code is unknown.
        """
        import numpy as np  # noqa: PLC0415 -- heavy
        from faster_whisper.tokenizer import Tokenizer  # noqa: PLC0415 -- heavy

        # With an empty clip, faster-whisper decodes nothing and returns its options for these settings.
        _, info = self._pipeline.transcribe(
            np.zeros(0, np.float32), language=language, clip_timestamps=[{"start": 0, "end": 0}], **settings
        )
        tokenizer = Tokenizer(
            self._model.hf_tokenizer, self._model.model.is_multilingual, "transcribe", info.language
        )
        options = info.transcription_options
        size = min(batch_size, CPU_BATCH) if self._device == "cpu" else batch_size
        scribe = _Scribe(self._model, tokenizer, options)
        found: list[Decoded] = []
        ahead: deque[Future[list[Heard]]] = deque()
        for batch in self._batches(windows, size):
            features = np.stack([self._features(samples) for _, samples in batch])
            run = copy_context().run
            ahead.append(self._thread.submit(run, self._hear, batch, features, tokenizer, options))
            if len(ahead) > AHEAD:
                found += scribe.segments(ahead.popleft().result())
        for heard in ahead:
            found += scribe.segments(heard.result())
        return found

    def _batches(self, windows: Sequence[Window], size: int) -> Iterator[list[Window]]:
        """Yield batches of up to ``size`` windows, in order, without mixing short and long ones."""
        for _, group in groupby(windows, key=lambda window: self._is_short(window[1])):
            while batch := list(islice(group, size)):
                yield batch

    def _features(self, samples: Audio) -> Audio:
        from faster_whisper.audio import pad_or_trim  # noqa: PLC0415 -- heavy

        extractor = self._model.feature_extractor
        length = SHORT_FRAMES if self._is_short(samples) else extractor.nb_max_frames
        padded: Audio = pad_or_trim(extractor(samples)[..., :-1], length)
        return padded

    def _is_short(self, samples: Audio) -> bool:
        return self._device == "cpu" and len(samples) <= SHORT_S * SAMPLE_RATE

    def _hear(self, batch: list[Window], features: Audio, tokenizer: Any, options: Any) -> list[Heard]:
        """Decode a batch whose features are padded to the same length ``[windows, bands, frames]``."""
        with metrics.on_device(self._device):
            encoded, outputs = self._pipeline.generate_segment_batched(features, tokenizer, options)
            durations = [len(samples) / SAMPLE_RATE for _, samples in batch]
            frames = [math.ceil(duration) * self._model.frames_per_second for duration in durations]
            texts = [[token for token in found["tokens"] if token < tokenizer.eot] for found in outputs]
            alignments = self._align(tokenizer, texts, encoded, frames)
        segments = [
            found | {"start": start, "end": start + duration, "seek": start * self._model.frames_per_second}
            for (start, _), duration, found in zip(batch, durations, outputs, strict=True)
        ]
        return list(zip(segments, alignments, strict=True))

    def _align(
        self, tokenizer: Any, texts: list[list[int]], encoded: Any, frames: list[int]
    ) -> list[list[dict[str, Any]]]:
        """Align the words of each window; in a GPU's memory, windows cannot be separated."""
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
    """Makes segments of a job's decoded windows, in order: a word's start may depend on the previous end."""

    def __init__(self, model: Any, tokenizer: Any, options: Any) -> None:
        self.frames_per_second = model.frames_per_second
        self._add_words = type(model).add_word_timestamps
        self._tokenizer, self._options = tokenizer, options
        self._alignments: list[list[dict[str, Any]]] = []
        self._spoken_until = 0.0

    def find_alignment(self, *_: Any) -> list[list[dict[str, Any]]]:
        """Return the alignments, to ``add_word_timestamps``, for which this object is the model."""
        return self._alignments

    def segments(self, batch: list[Heard]) -> Iterator[Decoded]:
        """Yield the segment of each window of a batch."""
        from faster_whisper.transcribe import get_compression_ratio  # noqa: PLC0415 -- heavy

        marks = self._options.prepend_punctuations, self._options.append_punctuations
        for heard, alignment in batch:
            self._alignments = [alignment]
            given = [[heard]], self._tokenizer, None, None, *marks, self._spoken_until
            self._spoken_until = self._add_words(self, *given)
            text, words = self._tokenizer.decode(heard["tokens"]), words_of(heard["words"])
            yield Decoded(
                text=join_words(words) or single_spaced(text),
                start=round(heard["start"], 3),
                end=round(heard["end"], 3),
                words=words,
                avg_logprob=float(heard["avg_logprob"]),
                no_speech_prob=float(heard["no_speech_prob"]),
                compression_ratio=float(get_compression_ratio(text)),
                temperature=0.0,
            )
