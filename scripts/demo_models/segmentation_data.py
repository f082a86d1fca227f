"""Training windows for the segmentation model, mixed while training runs."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from .conversation import SAMPLE_RATE, Conversation, ConversationMixer, MixSettings, noise_floor
from .media import AudioFormat, through_codec

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class FrameGrid:
    """Where the model's output frames lie in a window."""

    count: int
    first_s: float
    """Centre of the first frame."""
    step_s: float

    def activity(self, conversation: Conversation, offset_s: float) -> dict[str, NDArray[np.float32]]:
        """Who speaks in the window from `offset_s`: 0 or 1 per frame, for those who speak at all."""
        centres = offset_s + self.first_s + np.arange(self.count) * self.step_s
        active: dict[str, NDArray[np.float32]] = {}
        for turn in conversation.turns:
            inside = (centres >= turn.start) & (centres < turn.end)
            if inside.any():
                row = active.setdefault(turn.speaker, np.zeros(self.count, dtype=np.float32))
                row[inside] = 1
        return active


def slot_labels(
    activity: Mapping[str, NDArray[np.float32]], frames: int, slots: int = 3
) -> NDArray[np.float32]:
    """The `slots` who speak longest in the window, shape (frames, slots)."""
    longest = sorted(activity.values(), key=lambda row: -row.sum())[:slots]
    return np.stack(longest + [np.zeros(frames, dtype=np.float32)] * (slots - len(longest)), axis=1)


@dataclass(frozen=True)
class Windows:
    """A batch of training windows."""

    audio: Audio
    """(batch, 1, samples)"""
    labels: NDArray[np.float32]
    """Who of at most three speaks: 0 or 1, (batch, frames, 3)."""


@dataclass(frozen=True)
class WindowSettings:
    """How training windows are made."""

    window_s: float = 10.0
    conversation_s: float = 32.0
    speakers: tuple[int, ...] = (1, 2, 2, 3, 3, 4)
    codec_probability: float = 0.03
    noise_only_probability: float = 0.02
    similar_probability: float = 0.5
    """Of conversations with two voices that sound alike, where it is known which do."""
    varied: bool = True
    """Draw the kind of talk anew for each conversation; otherwise the mixer's own settings hold."""


class SimilarVoices:
    """For each voice those that sound rather like it, as an embedding has them.

    Voices drawn at random are mostly easy to tell apart; the model has to learn the others too.

    Args:
        names: the voices.
        vectors: one for each, (voices, dimension).
        near: distances of the unit vectors, between what may be the same voice and what clearly is not.
    """

    def __init__(
        self, names: Sequence[str], vectors: NDArray[np.float32], near: tuple[float, float] = (0.75, 1.1)
    ) -> None:
        self.names = list(names)
        self._place = {name: index for index, name in enumerate(self.names)}
        self._vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        self._near = near

    def cast(self, rng: random.Random, count: int) -> list[str]:
        """Draw `count` voices, the second one similar to the first where there is such a voice."""
        cast = rng.sample(self.names, count)
        if count > 1:
            distance = np.linalg.norm(self._vectors - self._vectors[self._place[cast[0]]], axis=1)
            found = np.flatnonzero((distance > self._near[0]) & (distance < self._near[1]))
            others = [self.names[index] for index in found if self.names[index] not in cast]
            if others:
                cast[1] = rng.choice(others)
        return cast


class SegmentationWindows:
    """Windows (audio, labels) out of mixed and augmented conversations, without end."""

    def __init__(
        self,
        mixer: ConversationMixer,
        grid: FrameGrid,
        settings: WindowSettings | None = None,
        similar: SimilarVoices | None = None,
    ) -> None:
        self.mixer = mixer
        self.grid = grid
        self.similar = similar
        self.settings = settings or WindowSettings()
        length = round(self.settings.conversation_s * SAMPLE_RATE)
        self._noises = [noise_floor(length, 0.0, seed) for seed in range(8)]  # drawn once: it takes time

    def batch(self, seed: int, size: int) -> Windows:
        """One batch of `size` windows, the same for the same seed."""
        found = self._stream(random.Random(seed))
        audio, labels = zip(*[next(found) for _ in range(size)], strict=True)
        return Windows(np.stack(audio)[:, None], np.stack(labels))

    def _stream(self, rng: random.Random) -> Iterator[tuple[Audio, NDArray[np.float32]]]:
        cfg = self.settings
        length = round(cfg.window_s * SAMPLE_RATE)
        while True:
            if rng.random() < cfg.noise_only_probability:
                noise = noise_floor(length, rng.uniform(-80, -30), rng.randrange(2**31))
                yield noise, slot_labels({}, self.grid.count)
            kind = self._mix_settings(rng) if cfg.varied else None
            speakers: int | list[str] = rng.choice(cfg.speakers)
            if self.similar and rng.random() < cfg.similar_probability:
                speakers = self.similar.cast(rng, speakers)
            conversation = self.mixer.mix(rng.randrange(2**31), cfg.conversation_s, speakers, kind)
            noise = rng.choice(self._noises) * np.float32(10 ** (rng.uniform(-80, -42) / 20))
            audio = augment(conversation.waveform + noise, rng, cfg.codec_probability)
            offset = rng.uniform(0, 3)
            while offset + cfg.window_s <= cfg.conversation_s:
                start = round(offset * SAMPLE_RATE)
                activity = self.grid.activity(conversation, start / SAMPLE_RATE)
                labels = slot_labels(activity, self.grid.count)
                yield audio[start : start + length], labels
                offset += cfg.window_s

    def _mix_settings(self, rng: random.Random) -> MixSettings:
        """The evaluation's kind of mixing, and around it busier and sparser talk."""
        return replace(
            self.mixer.settings,
            overlap_probability=rng.choice((0.2, 0.4, 0.4, 0.7)),
            overlap_s=rng.choice(((0.3, 1.3), (0.3, 2.0))),
            gap_mean_s=rng.choice((0.2, 0.35, 0.35, 0.8, 1.5)),
            pause_s=rng.choice(((0.15, 0.9), (0.05, 0.5), (0.3, 1.5))),
            utterances_per_turn=rng.choice(((1, 1, 2, 2, 3), (1,), (1, 1, 2))),
            level_range_db=rng.choice((4.0, 8.0, 12.0)),
            level_db=rng.uniform(-34, -16),
            noise_db=(-200.0, -200.0),  # added afterwards
        )


def augment(audio: Audio, rng: random.Random, codec_probability: float) -> Audio:
    """Spectral tilt, and sometimes a low-bit-rate codec; shape (samples,) stays."""
    if rng.random() < 0.3:
        audio = lfilter([1.0, -rng.uniform(-0.5, 0.7)], [1.0], audio).astype(np.float32)
    if rng.random() < codec_probability:
        form = rng.choice(
            (
                AudioFormat("mp4", "aac", rng.choice((16_000, 24_000, 32_000))),
                AudioFormat("ogg", "libopus", rng.choice((12_000, 16_000, 24_000))),
            )
        )
        audio = through_codec(audio, form)
    return np.clip(audio, -1, 1).astype(np.float32)
