"""Mix natural conversations out of single utterances, with exact truth.

A conversation is a row of turns: a speaker says one to three utterances with short pauses, another speaker
takes over after a gap or slightly before the end (overlap, never more than two voices at once). Speakers
differ in level, and a noise floor lies under everything. The same seed, bank and settings give the same
samples.

Truth is exact by construction. Words come from the utterance bank. Turns come from the energy of the clean
utterances: silence at their ends is trimmed and pauses of one speaker shorter than `merge_gap_s` are closed.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
Audio = NDArray[np.float32]


class Utterance(Protocol):
    """One sentence in a bank; words are (text, start, end) in seconds from the utterance's start."""

    @property
    def text(self) -> str:
        """The sentence."""

    @property
    def words(self) -> Sequence[tuple[str, float, float]]:
        """Words with times."""

    @property
    def offset(self) -> int:
        """Position in the bank, in samples; unique for each utterance."""


class Bank(Protocol):
    """What this module needs of an utterance bank (see `demo_models.bank.UtteranceBank`)."""

    @property
    def by_speaker(self) -> Mapping[str, Sequence[Utterance]]:
        """Utterances of each speaker."""

    def audio(self, utterance: Any) -> Audio:
        """Samples of one utterance, float32 in [-1, 1], 16 kHz mono."""


@dataclass(frozen=True)
class Word:
    """One spoken word; times in seconds from the start of the conversation."""

    text: str
    start: float
    end: float
    speaker: str


@dataclass(frozen=True)
class Turn:
    """One stretch of speech of one speaker; times in seconds."""

    speaker: str
    start: float
    end: float


@dataclass(frozen=True)
class MixSettings:
    """How a conversation is put together; `(low, high)` pairs are ranges of a uniform draw."""

    overlap_probability: float = 0.33
    """Chance that a speaker change starts before the other one has finished."""
    overlap_s: tuple[float, float] = (0.3, 1.3)
    gap_mean_s: float = 0.35
    """Mean of the exponential part of the gap at a speaker change (0.1 s is added)."""
    pause_s: tuple[float, float] = (0.15, 0.9)
    """Pause between two utterances of the same turn."""
    utterances_per_turn: tuple[int, ...] = (1, 1, 2, 2, 3)
    level_range_db: float = 8.0
    """Largest level difference between speakers."""
    level_db: float = -22.0
    """RMS of the speech in the finished mix, in dB full scale."""
    noise_db: tuple[float, float] = (-70.0, -50.0)
    """Level of the noise floor in dB full scale."""
    merge_gap_s: float = 0.3
    """Pauses of one speaker below this length do not split a turn in the truth."""


@dataclass
class Conversation:
    """A mixed conversation; `waveform` and each of `stems` are float32, 16 kHz mono, shape (samples,)."""

    session: str
    waveform: Audio
    words: list[Word]
    turns: list[Turn]
    stems: dict[str, Audio] = field(default_factory=dict, repr=False)
    """Speech of each speaker alone, without noise, at the level it has in the mix."""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.waveform) / SAMPLE_RATE

    @property
    def speakers(self) -> list[str]:
        """Speakers in order of first appearance."""
        return list(dict.fromkeys(turn.speaker for turn in self.turns))

    @property
    def overlap_ratio(self) -> float:
        """Share of the time with speech in which two speak at once."""
        active = np.zeros(round(self.duration_s * 100) + 2, dtype=np.int8)
        for turn in self.turns:
            active[round(turn.start * 100) : round(turn.end * 100)] += 1
        return float((active > 1).sum() / max(1, (active > 0).sum()))

    def renamed(self, session: str, names: Sequence[str] | None = None) -> Conversation:
        """The same conversation under another name, its speakers (by first appearance) called `names`."""
        label = dict(zip(self.speakers, names or self.speakers, strict=True))
        return Conversation(
            session=session,
            waveform=self.waveform,
            words=[replace(word, speaker=label[word.speaker]) for word in self.words],
            turns=[replace(turn, speaker=label[turn.speaker]) for turn in self.turns],
            stems={label[speaker]: stem for speaker, stem in self.stems.items()},
        )

    def truth(self) -> dict[str, Any]:
        """The truth file's content: `session`, `duration_s`, `words`, `turns`."""

        def rows(items: Iterable[Word | Turn]) -> list[dict[str, Any]]:
            return [
                {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(i).items()} for i in items
            ]

        return {
            "session": self.session,
            "duration_s": round(self.duration_s, 3),
            "words": rows(self.words),
            "turns": rows(self.turns),
        }


def merge_intervals(intervals: Iterable[tuple[float, float]], gap: float) -> list[tuple[float, float]]:
    """Sort intervals and join those that overlap or lie less than `gap` apart."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted(intervals):
        if merged and start - merged[-1][1] < gap:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def speech_intervals(audio: Audio, floor_db: float = -38.0, hop_s: float = 0.01) -> list[tuple[float, float]]:
    """Stretches of a clean utterance above its own loudest part plus `floor_db`, in seconds.

    Gaps below 0.1 s (closures of stops) are closed, blips below 0.03 s dropped.
    """
    hop = round(hop_s * SAMPLE_RATE)
    frames = len(audio) // hop
    if frames == 0:
        return []
    energy = np.square(audio[: frames * hop].reshape(frames, hop)).mean(axis=1)
    loud = energy > max(float(np.quantile(energy, 0.95)) * 10 ** (floor_db / 10), 1e-9)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], loud.astype(np.int8), [0]))))
    found = [(a * hop_s, b * hop_s) for a, b in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)]
    return [(a, b) for a, b in merge_intervals(found, 0.1) if b - a >= 0.03]


@dataclass(frozen=True)
class _Clip:
    """An utterance without the silence at its ends; times in seconds from the start of `audio`."""

    audio: Audio
    words: list[tuple[str, float, float]]
    speech: list[tuple[float, float]]


@dataclass(frozen=True)
class _Placed:
    clip: _Clip
    speaker: str
    start: int  # samples

    @property
    def end(self) -> int:
        return self.start + len(self.clip.audio)


class ConversationMixer:
    """Mixes conversations from one bank; remembers where each utterance's speech is between calls."""

    def __init__(self, bank: Bank, settings: MixSettings | None = None) -> None:
        self.bank = bank
        self.settings = settings or MixSettings()
        self._intervals: dict[int, list[tuple[float, float]]] = {}  # by the utterance's offset in the bank

    def eligible_speakers(self, minimum: int = 4) -> list[str]:
        """Speakers of the bank with at least `minimum` utterances, sorted."""
        return sorted(s for s, utterances in self.bank.by_speaker.items() if len(utterances) >= minimum)

    def mix(
        self, seed: int, duration_s: float, speakers: int | Sequence[str], settings: MixSettings | None = None
    ) -> Conversation:
        """Mix one conversation.

        Args:
            seed: decides everything random.
            duration_s: exact length of the result; no utterance is cut at its end.
            speakers: how many speakers to draw, or their names in the bank.
            settings: overrides the mixer's settings for this call.
        """
        cfg = settings or self.settings
        rng = random.Random(seed)
        cast = rng.sample(self.eligible_speakers(), speakers) if isinstance(speakers, int) else list(speakers)
        total = round(duration_s * SAMPLE_RATE)
        placed = self._schedule(rng, cast, total, cfg)
        gains = {s: 10 ** (-rng.uniform(0, cfg.level_range_db) / 20) for s in cast}
        stems = {speaker: np.zeros(total, dtype=np.float32) for speaker in cast}
        for item in placed:
            stems[item.speaker][item.start : item.end] += item.clip.audio * gains[item.speaker]
        speech = np.sum(list(stems.values()), axis=0, dtype=np.float32)
        loud = np.square(speech[np.abs(speech) > 1e-4])
        rms = float(np.sqrt(loud.mean())) if loud.size else 1.0
        peak = float(np.abs(speech).max()) or 1.0
        scale = np.float32(min(10 ** (cfg.level_db / 20) / rms, 0.9 / peak))
        noise = noise_floor(total, rng.uniform(*cfg.noise_db), rng.randrange(2**31))
        words = [
            Word(text, item.start / SAMPLE_RATE + start, item.start / SAMPLE_RATE + end, item.speaker)
            for item in placed
            for text, start, end in item.clip.words
        ]
        return Conversation(
            session=f"conversation-{seed}",
            waveform=np.clip(speech * scale + noise, -1, 1).astype(np.float32),
            words=sorted(words, key=lambda w: (w.start, w.end)),
            turns=self._turns(placed, cfg.merge_gap_s),
            stems={name: stem * scale for name, stem in stems.items()},
        )

    def _schedule(
        self, rng: random.Random, cast: Sequence[str], total: int, cfg: MixSettings
    ) -> list[_Placed]:
        """Decide who says what when; positions in samples."""
        decks: dict[str, list[Utterance]] = {s: [] for s in cast}
        said: set[str] = set()

        def draw(speaker: str) -> Utterance:
            for _ in range(8):  # avoid a sentence that was said before, if the bank allows
                if not decks[speaker]:
                    decks[speaker] = list(self.bank.by_speaker[speaker])
                    rng.shuffle(decks[speaker])
                utterance = decks[speaker].pop()
                if utterance.text not in said:
                    break
            said.add(utterance.text)
            return utterance

        placed: list[_Placed] = []
        upcoming = list(cast)
        rng.shuffle(upcoming)  # everybody speaks once before anybody speaks by chance
        current: str | None = None
        position = round(rng.uniform(0.2, 0.8) * SAMPLE_RATE)
        while True:
            if upcoming:
                current = upcoming.pop()
            else:
                current = rng.choice([s for s in cast if s != current] or list(cast))
            for index in range(rng.choice(cfg.utterances_per_turn)):
                clip = self._clip(draw(current))
                start = position
                if index == 0 and placed and rng.random() < cfg.overlap_probability and len(cast) > 1:
                    start = self._overlapped_start(rng, placed, len(clip.audio), cfg)
                item = _Placed(clip, current, start)
                if item.end > total - round(0.1 * SAMPLE_RATE):
                    return placed
                placed.append(item)
                position = max(p.end for p in placed[-3:]) + round(rng.uniform(*cfg.pause_s) * SAMPLE_RATE)
            gap = 0.1 + rng.expovariate(1 / cfg.gap_mean_s)
            position = max(p.end for p in placed[-3:]) + round(gap * SAMPLE_RATE)

    @staticmethod
    def _overlapped_start(rng: random.Random, placed: list[_Placed], length: int, cfg: MixSettings) -> int:
        """Start before the last utterance ends, but after the one before it (two voices at most)."""
        last = placed[-1]
        wish = round(rng.uniform(*cfg.overlap_s) * SAMPLE_RATE)
        overlap = min(wish, int(0.6 * len(last.clip.audio)), int(0.6 * length))
        before = max((p.end for p in placed[-4:-1]), default=0)
        return max(last.end - overlap, before + SAMPLE_RATE // 10)

    def _clip(self, utterance: Utterance, margin_s: float = 0.03) -> _Clip:
        """Cut the silence at both ends, all but a margin, and move the times along."""
        audio = self.bank.audio(utterance)
        key = utterance.offset
        if key not in self._intervals:
            self._intervals[key] = speech_intervals(audio)
        speech = self._intervals[key] or [(0.0, len(audio) / SAMPLE_RATE)]
        first = max(0, round((speech[0][0] - margin_s) * SAMPLE_RATE))
        last = min(len(audio), round((speech[-1][1] + margin_s) * SAMPLE_RATE))
        shift, length = first / SAMPLE_RATE, (last - first) / SAMPLE_RATE
        words = [
            (text, min(max(start - shift, 0.0), length), min(max(end - shift, 0.0), length))
            for text, start, end in utterance.words
        ]
        return _Clip(audio[first:last], words, [(a - shift, b - shift) for a, b in speech])

    @staticmethod
    def _turns(placed: list[_Placed], gap: float) -> list[Turn]:
        spans: dict[str, list[tuple[float, float]]] = {}
        for item in placed:
            shift = item.start / SAMPLE_RATE
            spans.setdefault(item.speaker, []).extend((shift + a, shift + b) for a, b in item.clip.speech)
        turns = [Turn(s, a, b) for s, found in spans.items() for a, b in merge_intervals(found, gap)]
        return sorted(turns, key=lambda t: (t.start, t.end))


def noise_floor(samples: int, level_db: float, seed: int) -> Audio:
    """Stationary noise, half white, half low-passed, RMS `level_db` dB full scale; shape (samples,).

    Below -120 dB, which 16 bits cannot hold, there is none.
    """
    if level_db < -120:
        return np.zeros(samples, dtype=np.float32)
    rng = np.random.default_rng(seed)
    white = rng.standard_normal(samples + 15, dtype=np.float32)
    cumulative = np.cumsum(white, dtype=np.float64)
    soft = np.empty(samples, dtype=np.float32)
    soft[:] = (cumulative[15:] - np.concatenate(([0.0], cumulative[: samples - 1]))) / 4
    noise: Audio = (white[:samples] + soft) * np.float32(10 ** (level_db / 20) / np.sqrt(2))
    return noise
