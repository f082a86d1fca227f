"""A speech and a diarization engine that need no model: they write down how loud it is, and who is louder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sessionscribe.artifacts.chunk_transcript import Engine
from sessionscribe.artifacts.plan import Span
from sessionscribe.artifacts.speakers import EmbeddingsHeader, Turn
from sessionscribe.audio.sliding_window import SlidingWindow
from sessionscribe.config.settings import Diarize, Transcribe
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.engines.decoded import Decoded, TimedWord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Audio = NDArray[np.float32]

FILES = ("second-engine.txt",)
WINDOW = 10 * SAMPLE_RATE


class Speech:
    engine = Engine(name="second", version="1", model="loudness", device="cpu", compute_type="none")

    def detect_language(self, audio: Audio) -> tuple[str, float]:
        return "en", 1.0

    def transcribe(
        self, audio: Audio, windows: Sequence[Sequence[Span]], language: str, options: Transcribe
    ) -> list[Decoded]:
        return [self._segment(audio, number, window) for number, window in enumerate(windows)]

    def unused_prompt(self, options: Transcribe) -> list[str]:
        return []

    def _segment(self, audio: Audio, number: int, window: Sequence[Span]) -> Decoded:
        words = []
        for span in window:
            loud = float(abs(audio[span.start : span.stop]).mean()) > 0.05
            start, end = span.start / SAMPLE_RATE, span.stop / SAMPLE_RATE
            words.append(TimedWord("loud" if loud else "quiet", start, end, 0.9))
        return Decoded(
            text=" ".join(word.text for word in words),
            start=words[0].start,
            end=words[-1].end,
            words=tuple(words),
            avg_logprob=-0.1,
            no_speech_prob=0.0,
            compression_ratio=1.0,
            temperature=0.0,
            window=number,
            language="en",
        )


def speech_model(options: Transcribe, *, threads: int) -> Speech:
    return Speech()


class Loudness:
    identity = "second"

    def grid(self, step: float | None) -> SlidingWindow:
        return SlidingWindow(WINDOW, WINDOW)

    def look(self, samples: Audio, grid: SlidingWindow) -> tuple[Audio, Audio]:
        import numpy as np  # noqa: PLC0415

        windows = [samples[start : start + WINDOW] for start in range(0, len(samples), WINDOW)]
        embeddings = np.array([[[float(abs(window).mean()), 1.0]] for window in windows], np.float32)
        return np.ones((len(windows), 10, 1), np.float32), embeddings

    def describe(self, session: str, grid: SlidingWindow, windows: range) -> EmbeddingsHeader:
        return EmbeddingsHeader(
            session=session,
            first=windows.start,
            windows=len(windows),
            window=grid.window,
            step=grid.step,
            frame_start=0.0,
            frame_duration=1.0,
            frame_step=1.0,
            powerset=True,
            model=self.identity,
        )


def window_models(options: Diarize) -> Loudness:
    return Loudness()


def cluster(
    about: EmbeddingsHeader, segmentations: Audio, embeddings: Audio, options: Diarize
) -> tuple[list[Turn], list[Turn], str | None]:
    middle = float(embeddings[:, 0, 0].mean())
    turns = [
        Turn(start=10.0 * n, end=10.0 * (n + 1), speaker="LOUD" if loudness[0, 0] > middle else "QUIET")
        for n, loudness in enumerate(embeddings)
    ]
    return turns, turns, None
