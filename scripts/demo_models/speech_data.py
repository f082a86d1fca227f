"""Training windows for the speech model, mixed in the mel domain.

The mel spectra of the bank are computed once; windows are then put together by adding powers, which costs
about a thousandth of computing spectra of mixed audio, so every window is new: other turns, levels, noise,
voice warps, tempo, bandwidth and codec-like holes.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from scipy.signal import lfilter
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.data import IterableDataset

from . import grammar
from .bank import Utterance, UtteranceBank
from .speech_tokens import TIMESTAMP_STEP, SpecialIds
from .voices import SAMPLE_RATE

MELS = 80
HOP = 160
FRAME_RATE = 100
"""Mel frames per second."""
STATE_RATE = 50
"""Encoder positions per second."""
IGNORE = -100
_FLOOR = 1e-10


def mel_filters() -> np.ndarray:
    """The mel filters that faster-whisper uses, shape (80, 201)."""
    from faster_whisper.feature_extractor import FeatureExtractor  # noqa: PLC0415 -- heavy

    return np.asarray(FeatureExtractor(feature_size=MELS).mel_filters, np.float32)


def mel_power(audio: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Mel power of samples, shape (samples // 160 + 1, 80); frame k is centred at 10 k ms."""
    spectrum = torch.stft(
        torch.from_numpy(audio),
        400,
        HOP,
        window=torch.hann_window(400),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    return (torch.from_numpy(filters) @ spectrum.abs().square()).T.numpy()


class MelBank:
    """Log10 mel power of every utterance of a bank, in one float16 file that is mapped into memory."""

    def __init__(self, bank: UtteranceBank, path: Path) -> None:
        counts = [u.length // HOP + 1 for u in bank.utterances]
        self.starts = np.concatenate([[0], np.cumsum(counts)])
        shape = (int(self.starts[-1]), MELS)
        if not path.exists():
            temporary = path.with_name(path.name + ".tmp")
            store = np.memmap(temporary, np.float16, "w+", shape=shape)
            filters = mel_filters()
            for index, utterance in enumerate(bank.utterances):
                power = mel_power(bank.audio(utterance), filters)
                store[self.starts[index] : self.starts[index + 1]] = np.log10(np.maximum(power, _FLOOR))
            store.flush()
            os.replace(temporary, path)
        self._store = np.memmap(path, np.float16, "r", shape=shape)

    def __getitem__(self, index: int) -> np.ndarray:
        """Log10 mel power of utterance ``index``, float32, shape (frames, 80)."""
        return np.asarray(self._store[self.starts[index] : self.starts[index + 1]], np.float32)


@dataclass
class Prepared:
    """What a window needs to know about an utterance."""

    tokens: list[list[int]]
    """Token ids of each word; the last may be a punctuation mark."""
    marks: list[bool]
    """Whether the last token of each word is a punctuation mark."""
    word_ids: list[int]
    starts: np.ndarray
    ends: np.ndarray
    phone_ids: np.ndarray
    phone_starts: np.ndarray
    duration: float


@dataclass
class Part:
    """An utterance or some of its words, ready to be placed."""

    item: Prepared
    first: int
    last: int
    """The words are ``first`` to before ``last``."""
    begin: float
    """Where the part begins in its utterance, in seconds."""
    tempo: float
    """Factor on durations."""
    power: np.ndarray
    """Mel power, shape (frames, 80)."""


@dataclass
class Turn:
    """One placed part; times in seconds within the window."""

    start: float
    end: float
    cut: bool
    """Whether the window ends before it does."""
    tokens: list[int] = field(default_factory=list)
    guides: list[tuple[float, float]] = field(default_factory=list)
    """For each token, the stretch of time that it is heard in."""


@dataclass
class Canvas:
    """A window in the making."""

    seconds: int
    power: np.ndarray
    """Mel power, shape (100 seconds, 80)."""
    words: np.ndarray
    """Class of the word at each encoder position, shape (50 seconds,)."""
    phones: np.ndarray
    """Class of the phoneme, likewise."""

    @classmethod
    def empty(cls, seconds: int) -> Canvas:
        """A silent window."""
        states = seconds * STATE_RATE
        return cls(
            seconds,
            np.zeros((seconds * FRAME_RATE, MELS), np.float32),
            np.zeros(states, np.int64),
            np.zeros(states, np.int64),
        )

    @staticmethod
    def states(start: float, end: float) -> slice:
        """Encoder positions between two times."""
        return slice(max(0, round(start * STATE_RATE)), max(0, round(end * STATE_RATE)))


@dataclass
class Sample:
    """One training window of T frames."""

    mel: np.ndarray
    """(80, T), scaled as Whisper's input."""
    tokens: list[int]
    targets: list[int]
    words: np.ndarray
    """(T / 2,) class of the word at each encoder position, 0 for none, -100 where two overlap."""
    phones: np.ndarray
    """(T / 2,), likewise."""
    guides: list[tuple[int, float, float]]
    """(row of the decoder, first and last encoder position that its attention may look at)"""


@dataclass
class Batch:
    """Samples stacked; padded targets are -100."""

    mel: Tensor
    tokens: Tensor
    targets: Tensor
    words: Tensor
    phones: Tensor
    guides: Tensor
    """(batch, length, 2); zeros where nothing guides the row."""


class WindowMaker:
    """Makes random training windows out of a bank."""

    def __init__(self, bank: UtteranceBank, mels: MelBank, tokenizer: Tokenizer, phones: list[str]) -> None:
        self.mels = mels
        self.special = SpecialIds.of(tokenizer)
        self.words = {word: index + 1 for index, word in enumerate(grammar.vocabulary())}
        self.phones = {name: index + 1 for index, name in enumerate(phones)}
        self.prepared = [self._prepare(u, tokenizer) for u in bank.utterances]
        groups: dict[str, list[int]] = {}
        for index, utterance in enumerate(bank.utterances):
            groups.setdefault(utterance.speaker, []).append(index)
        self.groups = list(groups.values())
        noise = np.random.default_rng(0).standard_normal(60 * SAMPLE_RATE).astype(np.float32)
        power = mel_power(noise, mel_filters())
        self.noise = power / power.mean()
        centres = np.arange(MELS)[None]
        self.warps = []
        for factor in np.linspace(0.92, 1.08, 17):
            place = np.clip(np.arange(MELS)[:, None] * factor, 0, MELS - 1)
            self.warps.append(np.maximum(0, 1 - np.abs(place - centres)).astype(np.float32).T)

    def _prepare(self, utterance: Utterance, tokenizer: Tokenizer) -> Prepared:
        tokens, marks = [], []
        for word, _, _ in utterance.words:
            tokens.append(tokenizer.encode(" " + word, add_special_tokens=False).ids)
            marks.append(not word[-1].isalpha())
        phones = [(self.phones.get(name, 0), start) for name, start in utterance.phones]
        return Prepared(
            tokens=tokens,
            marks=marks,
            word_ids=[self.words[w] for w in grammar.words_of(utterance.text)],
            starts=np.array([s for _, s, _ in utterance.words], np.float32),
            ends=np.array([e for _, _, e in utterance.words], np.float32),
            phone_ids=np.array([p for p, _ in phones], np.int64),
            phone_starts=np.array([s for _, s in phones], np.float32),
            duration=utterance.duration,
        )

    def sample(self, rng: random.Random, seconds: int, single: bool) -> Sample:
        """Make one window of ``seconds``; ``single`` asks for one piece of a sentence without timestamps."""
        canvas = Canvas.empty(seconds)
        stamps = not single and rng.random() < (0.55 if seconds >= 30 else 0.25)
        turns: list[Turn] = []
        cut: float | None = None
        if single or rng.random() >= 0.04:
            turns, cut = self._converse(rng, canvas, single, stamps)
        mel = self._colour(rng, canvas.power)
        if cut is None and rng.random() < (0.4 if stamps else 0.9):
            last = max([t.end for t in turns], default=rng.uniform(0.2, seconds))
            last += rng.choice([0.02, rng.uniform(0, 0.5), rng.uniform(0, 1)])
            mel[int(last * FRAME_RATE) :] = 0  # faster-whisper pads the features, not the audio, with zeros
        tokens, targets, guides = self._script(rng, turns, cut, stamps, seconds)
        return Sample(np.ascontiguousarray(mel.T), tokens, targets, canvas.words, canvas.phones, guides)

    def _converse(
        self, rng: random.Random, canvas: Canvas, single: bool, stamps: bool
    ) -> tuple[list[Turn], float | None]:
        """Fill the window with turns of one to four speakers.

        Returns them and, where the window ends within a last sentence, when that one begins.
        """
        start = rng.choice(
            [0.0, rng.uniform(0, 0.2), rng.uniform(0, 0.6), rng.uniform(0, 2.0 if stamps else 0.8)]
        )
        members = rng.sample(self.groups, rng.choice([2, 2, 3, 4] if not single else [1]))
        levels = [10 ** (rng.uniform(-12, 0) / 10) for _ in members]
        limit = 1 if single else rng.choice([1, 2, 3, 4, 20, 20, 20])
        gap = rng.choice([0.15, 0.35, 0.8])
        turns: list[Turn] = []
        others: list[int] = []
        misses = 0
        while len(turns) < limit and misses < 3 and start < canvas.seconds - 0.5:
            who = rng.choice(others or range(len(members)))
            whole = not single and rng.random() < 0.65
            part = self._part(rng, rng.choice(members[who]), whole)
            turn = self._place(canvas, part, start, levels[who], stamps and bool(turns))
            if turn is None:
                misses += 1
                if single:
                    members, misses = rng.sample(self.groups, len(members)), 0
                continue
            if turn.cut:
                return turns, turn.start
            turns.append(turn)
            others = []
            start = turn.end + 0.04 + rng.expovariate(1 / gap)
            if len(members) > 1 and rng.random() < 0.5:  # another speaker takes over before the end
                others = [k for k in range(len(members)) if k != who]
                start = turn.end - min(rng.uniform(0.05, 1.3), 0.6 * (turn.end - turn.start))
        return turns, None

    def _part(self, rng: random.Random, index: int, whole: bool) -> Part:
        """Take utterance ``index``, or some neighbouring words of it, at some tempo and voice warp."""
        item = self.prepared[index]
        tempo = rng.uniform(0.88, 1.15) if rng.random() < 0.5 else 1.0
        first, last = 0, len(item.tokens)
        if not whole and last > 3:
            first = rng.randrange(last - 1)
            last = rng.randint(first + 2, last)
        source = self.mels[index]
        begin = 0 if first == 0 else max(0, int((item.starts[first] - rng.uniform(0, 0.03)) * FRAME_RATE))
        finish = len(source)
        if last < len(item.tokens):
            finish = min(finish, int((item.ends[last - 1] + rng.uniform(0, 0.03)) * FRAME_RATE) + 1)
        source = source[begin:finish]
        if tempo != 1.0:
            place = np.minimum(np.arange(int(len(source) * tempo)) / tempo, len(source) - 1.001)
            low = place.astype(np.int64)
            share = (place - low)[:, None].astype(np.float32)
            source = source[low] * (1 - share) + source[low + 1] * share
        power = np.float32(10.0) ** source
        if rng.random() < 0.5:
            power = power @ rng.choice(self.warps)
        return Part(item, first, last, begin / FRAME_RATE, tempo, power)

    @staticmethod
    def _place(canvas: Canvas, part: Part, start: float, level: float, may_cut: bool) -> Turn | None:
        """Add ``part`` at ``start``; None when it does not fit (``may_cut``: then it is cut off)."""
        item = part.item
        at = int(start * FRAME_RATE)
        cut = at + len(part.power) > len(canvas.power)
        if len(part.power) < 4 or (cut and not may_cut):
            return None
        piece = part.power[: max(0, len(canvas.power) - at)]
        canvas.power[at : at + len(piece)] += piece * np.float32(level)
        offset = at / FRAME_RATE

        def clock(t: float) -> float:
            return offset + (float(t) - part.begin) * part.tempo

        turn = Turn(offset, min(offset + len(part.power) / FRAME_RATE, canvas.seconds), cut)
        for k in range(part.first, part.last):
            a, b = clock(item.starts[k]), clock(item.ends[k])
            after = clock(item.starts[k + 1]) if k + 1 < part.last else b + 0.4
            span = canvas.states(a, b)
            canvas.words[span] = np.where(canvas.words[span] > 0, IGNORE, item.word_ids[k])
            count = len(item.tokens[k]) - item.marks[k]
            turn.tokens += item.tokens[k]
            turn.guides += [(a, b)] * count + [(b, max(after, b + 0.04))] * item.marks[k]
        ends = np.append(item.phone_starts[1:], item.duration)
        for phone, a, b in zip(item.phone_ids, item.phone_starts, ends, strict=True):
            if clock(a) >= offset and clock(b) <= turn.end + 0.02:
                canvas.phones[canvas.states(clock(a), clock(b))] = phone
        return turn

    def _colour(self, rng: random.Random, power: np.ndarray) -> np.ndarray:
        """Room, microphone, noise, codec and level; mel power to Whisper's input scale, shape (T, 80)."""
        frames = len(power)
        bins = np.linspace(-1, 1, MELS, dtype=np.float32)

        def curve(strength: float) -> np.ndarray:
            """Random smooth gain over the mel bins, power, shape (80,)."""
            tilt = rng.uniform(-strength, strength) * bins
            wave = rng.uniform(0, strength / 2) * np.cos(bins * rng.uniform(1, 6) + rng.uniform(0, 6.3))
            return (10 ** (tilt + wave)).astype(np.float32)

        if rng.random() < 0.2:
            power = np.asarray(lfilter([1.0], [1.0, -rng.uniform(0.1, 0.6)], power, axis=0), np.float32)
        mean = max(float(power.mean()) * 1.5, 1e-7)
        if rng.random() < 0.6:
            power = power * curve(0.7)
        if rng.random() < 0.85:
            at = rng.randrange(len(self.noise) - frames)
            ratio = 10 ** (-rng.uniform(12, 50) / 10)
            shape = curve(1.5)
            power = power + self.noise[at : at + frames] * (shape / shape.mean() * (mean * ratio))
        if rng.random() < 0.3:  # bandwidth of a low bit rate
            cut = rng.randrange(56, MELS)
            power[:, cut:] *= 10 ** -rng.uniform(2, 7)
        power = power * 10 ** (rng.uniform(-25, 5) / 10)
        mel = np.log10(np.maximum(power, _FLOOR))
        if rng.random() < 0.25:  # coders drop what is far below the loudest part of a frame
            floor = mel.max(1, keepdims=True) - rng.uniform(2.0, 4.5)
            mel = np.where(mel < floor, mel - rng.uniform(0.5, 4), mel)
        if rng.random() < 0.15:
            for _ in range(rng.randint(1, 3)):
                low = rng.randrange(MELS - 8)
                mel[:, low : low + rng.randint(1, 8)] = mel.mean()
        boost = rng.choice([0.0, 0.0, rng.uniform(0, 1.5)])
        mel = np.maximum(mel, mel.max() + boost - 8.0)
        return ((mel + 4.0) / 4.0).astype(np.float32)

    def _script(
        self, rng: random.Random, turns: list[Turn], cut: float | None, stamps: bool, seconds: int
    ) -> tuple[list[int], list[int], list[tuple[int, float, float]]]:
        """Write the tokens that the decoder gets, what it has to answer and where it has to look."""
        ids = self.special
        tokens: list[int] = []
        if rng.random() < 0.06:  # a prompt (hotwords, text before)
            item = rng.choice(self.prepared)
            tokens = [ids.previous] + [t for word in item.tokens for t in word]
        prompt = len(tokens)
        tokens += [ids.start, ids.english, ids.transcribe]
        guides: list[tuple[int, float, float]] = []

        def stamp(time: float) -> int:
            return ids.timestamp + max(0, min(round(time / TIMESTAMP_STEP), round(seconds / TIMESTAMP_STEP)))

        if not stamps:
            tokens.append(ids.notimestamps)
        for turn in turns:
            if stamps:
                guides.append((len(tokens) - 1, turn.start * STATE_RATE - 3, turn.start * STATE_RATE + 4))
                tokens.append(stamp(turn.start))
            for token, (a, b) in zip(turn.tokens, turn.guides, strict=True):
                guides.append((len(tokens) - 1, a * STATE_RATE - 1.0, b * STATE_RATE + 0.5))
                tokens.append(token)
            if stamps:
                guides.append((len(tokens) - 1, turn.end * STATE_RATE - 4, turn.end * STATE_RATE + 3))
                tokens.append(stamp(turn.end))
        if stamps and cut is not None:
            tokens.append(stamp(cut))
        elif stamps and not turns:
            tokens.append(stamp(0))
        if turns and not stamps:
            end = turns[-1].end * STATE_RATE
            guides.append((len(tokens) - 1, end - 1.0, end + 25.0))
        tokens.append(ids.end)
        targets = tokens[1:]
        for k in range(prompt):
            targets[k] = IGNORE
        targets[prompt] = ids.english if turns or cut is not None else ids.nospeech
        targets[prompt + 1] = IGNORE
        if not stamps:
            targets[prompt + 2] = IGNORE
        return tokens[:-1], targets, guides


def collate(samples: list[Sample], end: int) -> Batch:
    """Stack samples of equal duration; ``end`` fills the tokens."""
    length = max(len(s.tokens) for s in samples)
    tokens = np.full((len(samples), length), end, np.int64)
    targets = np.full((len(samples), length), IGNORE, np.int64)
    guides = np.zeros((len(samples), length, 2), np.float32)
    for row, sample in enumerate(samples):
        tokens[row, : len(sample.tokens)] = sample.tokens
        targets[row, : len(sample.targets)] = sample.targets
        for place, a, b in sample.guides:
            guides[row, place] = max(a, 0.0), max(b, 1.0)
    return Batch(
        mel=torch.from_numpy(np.stack([s.mel for s in samples])),
        tokens=torch.from_numpy(tokens),
        targets=torch.from_numpy(targets),
        words=torch.from_numpy(np.stack([s.words for s in samples])),
        phones=torch.from_numpy(np.stack([s.phones for s in samples])),
        guides=torch.from_numpy(guides),
    )


class Batches(IterableDataset[Batch]):
    """Endless batches of about ``seconds`` of audio each; all windows of a batch have one duration."""

    def __init__(
        self, maker: WindowMaker, seed: int, seconds: int, durations: list[int], single: bool
    ) -> None:
        self.maker = maker
        self.seed = seed
        self.seconds = seconds
        self.durations = durations
        self.single = single

    def __iter__(self) -> Iterator[Batch]:
        torch.set_num_threads(1)
        rng = random.Random(self.seed)
        while True:
            duration = rng.choice(self.durations)
            count = max(1, self.seconds // duration)
            yield collate(
                [self.maker.sample(rng, duration, self.single) for _ in range(count)], self.maker.special.end
            )
