"""Synthesize a conversation from its text, with exact turns and word times.

A text (``texts/NAME.txt``) has one line per utterance, ``person: words``. With ``<`` before the words, the
person begins during the other's last words; with ``<<``, the other is interrupted. Everything else (pauses,
levels, rooms) is drawn from a generator whose seed is the conversation's name.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from .media import FLAC, SAMPLE_RATE, Audio, write_audio
from .people import PEOPLE
from .signals import convolve, merge_intervals, noise_floor, speech_intervals
from .voices import Synthesizer, Timed

TEXTS = Path(__file__).parent / "texts"
PAUSE_S = (0.15, 0.75)
OVERLAPS_S = {"": None, "<": (0.3, 0.7), "<<": (0.8, 1.4)}
LEVEL_DB = (-27.0, -21.0)
NOISE_DB = -60.0
SAME_TURN_S = 0.5
"""Longest pause within a turn."""


@dataclass(frozen=True)
class Utterance:
    """A line of the text; times in seconds from the start of the conversation."""

    speaker: str
    start: float
    stop: float
    text: str
    words: list[Timed]


@dataclass(frozen=True)
class Conversation:
    """A mixed conversation; ``waveform`` and each of ``stems`` are float32, 16 kHz mono, shape (samples,).

    ``turns`` are in order: speaker, start and end in seconds. ``stems`` have the speech of each speaker
    alone, without noise, at the level it has in the mix.
    """

    session: str
    waveform: Audio
    utterances: list[Utterance]
    turns: list[Timed]
    stems: dict[str, Audio]

    def truth(self) -> dict[str, Any]:
        """Return the reference transcript: ``session``, ``duration_s``, ``segments``, ``turns``."""
        segments = [
            {
                "speaker": said.speaker,
                "start": round(said.start, 3),
                "end": round(said.stop, 3),
                "text": said.text,
                "words": [
                    {"text": text, "start": round(a, 3), "end": round(b, 3)} for text, a, b in said.words
                ],
            }
            for said in self.utterances
        ]
        turns = [{"speaker": who, "start": round(a, 3), "end": round(b, 3)} for who, a, b in self.turns]
        duration_s = round(len(self.waveform) / SAMPLE_RATE, 3)
        return {"session": self.session, "duration_s": duration_s, "segments": segments, "turns": turns}

    def utterances_json(self) -> str:
        """Return the utterances as JSON, one per line; words are ``[text, start, stop]``."""
        rows = []
        for said in self.utterances:
            row = asdict(said) | {"start": round(said.start, 3), "stop": round(said.stop, 3)}
            row["words"] = [[word, round(a, 3), round(b, 3)] for word, a, b in said.words]
            rows.append(json.dumps(row, ensure_ascii=False))
        return "[\n" + ",\n".join(rows) + "\n]\n"

    def rttm(self) -> str:
        """Return the turns as RTTM."""
        return "".join(
            f"SPEAKER {self.session} 1 {start:.3f} {end - start:.3f} <NA> <NA> {speaker} <NA> <NA>\n"
            for speaker, start, end in self.turns
        )


def read_text(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the speaker, the mark (empty, ``<`` or ``<<``) and the words of each line of a text."""
    for row in path.read_text(encoding="utf-8").splitlines():
        speaker, _, said = row.partition(": ")
        mark = said.split(" ", 1)[0] if said.startswith("<") else ""
        yield speaker, mark, said.removeprefix(mark).strip()


def room(rng: random.Random) -> Audio:
    """Return an impulse response of a small room; shape (samples,)."""
    decay_s = rng.uniform(0.15, 0.35)
    tail = np.random.default_rng(rng.randrange(2**31)).standard_normal(round(decay_s * SAMPLE_RATE))
    tail *= np.exp(-6.9 * np.arange(len(tail)) / len(tail))
    tail *= 10 ** (rng.uniform(-18, -12) / 20) / np.linalg.norm(tail)
    delay = np.zeros(round(rng.uniform(0.004, 0.012) * SAMPLE_RATE))
    return np.concatenate(([1.0], delay, tail)).astype(np.float32)


def within(spans: list[tuple[float, float]], word: Timed) -> Timed:
    """Return a word without silence at its ends: for synthesizers, the pause after a word belongs to it."""
    text, start, stop = word
    heard = [(max(a, start), min(b, stop)) for a, b in spans if a < stop and b > start]
    return (text, heard[0][0], heard[-1][1]) if heard else word


def gap(mark: str, rng: random.Random) -> float:
    """Return the pause before a line in seconds; negative if it overlaps the one before it."""
    overlap = OVERLAPS_S[mark]
    return -rng.uniform(*overlap) if overlap else rng.uniform(*PAUSE_S)


def make(name: str) -> Conversation:
    """Synthesize and mix the conversation of a text."""
    seed = zlib.crc32(name.encode())
    rng = random.Random(seed)
    synthesizer = Synthesizer(seed % 2**31)
    end = rng.uniform(0.3, 0.8)  # of the conversation so far
    utterances: list[Utterance] = []
    placed: dict[str, list[tuple[int, Audio]]] = {}  # of each person: first sample, samples
    spans: dict[str, list[tuple[float, float]]] = {}  # of each person: where there is sound
    for speaker, mark, text in read_text(TEXTS / f"{name}.txt"):
        speech = synthesizer.say(text, PEOPLE[speaker])
        sound = speech_intervals(speech.audio)
        start = round((end + gap(mark, rng) - sound[0][0]) * SAMPLE_RATE)
        at = start / SAMPLE_RATE
        heard = [(at + a, at + b) for a, b in sound]
        said = [within(heard, (word, at + a, at + b)) for word, a, b in speech.words]
        utterances.append(Utterance(speaker, heard[0][0], heard[-1][1], text, said))
        placed.setdefault(speaker, []).append((start, speech.audio))
        spans.setdefault(speaker, []).extend(heard)
        end = max(end, heard[-1][1])
    total = round((end + 1.0) * SAMPLE_RATE)
    stems = {speaker: mixed(own, total, rng) for speaker, own in placed.items()}
    noise = noise_floor(total, NOISE_DB, rng.randrange(2**31))
    turns = [(who, a, b) for who, own in spans.items() for a, b in merge_intervals(own, SAME_TURN_S)]
    waveform = np.clip(sum(stems.values(), noise), -1, 1)
    return Conversation(name, waveform, utterances, sorted(turns, key=itemgetter(1, 2)), stems)


def mixed(placed: list[tuple[int, Audio]], total: int, rng: random.Random) -> Audio:
    """Return the speech of one person, with a level and room of their own; shape (total,)."""
    stem = np.zeros(total, dtype=np.float32)
    for start, audio in placed:
        stem[start : start + len(audio)] += audio[: total - start]
    said = np.concatenate([audio for _, audio in placed])
    level = 10 ** (rng.uniform(*LEVEL_DB) / 20) / np.sqrt(np.mean(np.square(said)))
    return convolve(stem * np.float32(level), room(rng))


def write(name: str, folder: Path) -> None:
    """Make ``NAME.flac``, ``NAME.json`` (utterances with their words) and ``NAME.rttm`` (turns) of a text."""
    conversation = make(name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(conversation.utterances_json(), encoding="utf-8")
    (folder / f"{name}.rttm").write_text(conversation.rttm(), encoding="utf-8")
    write_audio(folder / f"{name}.flac", conversation.waveform, FLAC)
