"""Speakers and speech synthesis with exact word times.

A *speaker* is a voice of the eSpeak NG engine (accent and variant) with fixed prosody, a resampling
factor that shifts pitch and formants together, and a spectral tilt.  The engine runs inside this process
through ctypes, because only its event callback tells when each word and each phoneme starts.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import random
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from scipy.signal import lfilter, resample_poly

SAMPLE_RATE = 16000
"""Sampling rate in Hz of everything that this package makes."""

ACCENTS = (
    "en-us",
    "en-gb-scotland",
    "en-gb-x-rp",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-us-nyc",
    "en-029",
)

# A variant belongs to training or to the held-out speakers, with every accent.
VARIANTS = {
    "train": (
        "Alex Alicia Andrea Denis Diogo Gene Gene2 Hugo Jacky Lee Marco Mario Michael Mike Nguyen adam anika "
        "antonio aunty benjamin boris david ed f1 f3 f5 grandma grandpa john klatt klatt2 klatt3 klatt5 "
        "klatt6 m1 m2 m4 m5 m7 m8 max michel miguel norbert paul pedro rob robert sandro shelby victor"
    ),
    "heldout": (
        "Andy Annie Henrique belinda caleb edward f2 f4 gustave iven2 kaukovalta klatt4 linda m3 m6 marcelo "
        "pablo quincy steph travis zac"
    ),
}

_WORD_EVENT, _END_EVENT, _PHONEME_EVENT = 1, 5, 7
_RATE, _PITCH, _RANGE = 1, 3, 4


@dataclass(frozen=True)
class Speaker:
    """One artificial speaker; equal fields give equal sound."""

    name: str
    voice: str
    """eSpeak NG voice, for example ``en-us+f3``."""
    rate: int
    """Words per minute."""
    pitch: int
    """0 to 99."""
    pitch_range: int
    """0 (monotone) to 99."""
    warp: float
    """Factor on all frequencies (pitch and formants); durations are divided by it."""
    tilt: float
    """First-order spectral tilt, -1 (dark) to 1 (bright)."""


@dataclass(frozen=True)
class Synthesis:
    """One synthesised utterance, trimmed to the speech."""

    audio: np.ndarray
    """Samples, float32, shape (samples,), 16 kHz, peak 0.5."""
    words: list[tuple[str, float, float]]
    """(word, start, end) in seconds for each whitespace-separated word of the text."""
    phones: list[tuple[str, float]]
    """(phoneme name, start) in seconds; pauses have names that begin with an underscore."""


def _speaker(name: str, voice: str) -> Speaker:
    rng = random.Random(f"speaker {name} {voice}")
    return Speaker(
        name=name,
        voice=voice,
        rate=rng.randint(135, 190),
        pitch=rng.randint(20, 80),
        pitch_range=rng.randint(35, 75),
        warp=rng.choice([0.88, 0.92, 0.96, 1.0, 1.0, 1.04, 1.08, 1.12]),
        tilt=rng.uniform(-0.5, 0.5),
    )


def speakers(split: str, count: int) -> list[Speaker]:
    """Return ``count`` distinct speakers of the split ``train`` or ``heldout``.

    The first speakers of a split use each variant once before any variant is used with a second accent.
    """
    variants = VARIANTS[split].split()
    rng = random.Random(f"speakers {split}")
    order = [rng.sample(ACCENTS, len(ACCENTS)) for _ in variants]
    voices = [f"{order[i][k]}+{variant}" for k in range(len(ACCENTS)) for i, variant in enumerate(variants)]
    if count > len(voices):
        raise ValueError(f"{split}: at most {len(voices)} speakers, {count} asked for")
    return [_speaker(f"{split}-{i:03d}", voice) for i, voice in enumerate(voices[:count])]


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


class Espeak:
    """The eSpeak NG library, loaded once per process."""

    def __init__(self) -> None:
        library = ctypes.util.find_library("espeak-ng")
        if library is None:
            raise RuntimeError("libespeak-ng was not found; on Debian: apt-get install libespeak-ng1")
        self._lib = ctypes.CDLL(library)
        self._audio: list[np.ndarray] = []
        self._events: list[tuple[int, int, float, str]] = []
        callback_type = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
        )
        self._callback = callback_type(self._receive)  # kept: the library holds only its address
        synchronous, phoneme_events = 2, 1
        self.rate: int = self._lib.espeak_Initialize(synchronous, 0, None, phoneme_events)
        if self.rate <= 0:
            raise RuntimeError("eSpeak NG could not be initialised (is espeak-ng-data installed?)")
        self._lib.espeak_SetSynthCallback(self._callback)

    def _receive(self, wave: Any, count: int, events: Any) -> int:
        if wave and count > 0:
            self._audio.append(np.ctypeslib.as_array(wave, (count,)).copy())
        index = 0
        while events[index].type != 0:
            event = events[index]
            name = event.id.string.decode("utf-8", "replace") if event.type == _PHONEME_EVENT else ""
            self._events.append((event.type, event.text_position - 1, event.sample / self.rate, name))
            index += 1
        return 0

    def say(self, text: str, speaker: Speaker) -> Synthesis | None:
        """Synthesise ``text``; None when the engine made no sound."""
        self._audio.clear()
        self._events.clear()
        if self._lib.espeak_SetVoiceByName(speaker.voice.encode()) != 0:
            raise RuntimeError(f"eSpeak NG has no voice {speaker.voice}")
        for parameter, value in (
            (_RATE, speaker.rate),
            (_PITCH, speaker.pitch),
            (_RANGE, speaker.pitch_range),
        ):
            self._lib.espeak_SetParameter(parameter, value, 0)
        data = text.encode()
        utf8 = 1
        self._lib.espeak_Synth(data, len(data) + 1, 0, 1, 0, utf8, None, None)
        if not self._audio:
            return None
        raw = np.concatenate(self._audio).astype(np.float32) / 32768
        ratio = Fraction(SAMPLE_RATE, round(self.rate * speaker.warp)).limit_denominator(160)
        audio = resample_poly(raw, ratio.numerator, ratio.denominator)
        audio = lfilter([1.0, -speaker.tilt], [1.0], audio).astype(np.float32)
        peak = float(np.abs(audio).max())
        loud = np.flatnonzero(np.abs(audio) > 0.004 * peak + 1e-6)
        if len(loud) == 0:
            return None
        first, last = int(loud[0]), int(loud[-1]) + 1
        audio = audio[first:last] * (0.5 / peak)
        scale = ratio.numerator / ratio.denominator * self.rate / SAMPLE_RATE
        duration = len(audio) / SAMPLE_RATE

        def clock(seconds: float) -> float:
            return round(min(max(seconds * scale - first / SAMPLE_RATE, 0.0), duration), 3)

        phones = [(name, clock(t)) for kind, _, t, name in self._events if kind == _PHONEME_EVENT]
        words = _word_times(
            text, [(p, clock(t)) for kind, p, t, _ in self._events if kind == _WORD_EVENT], phones, duration
        )
        return None if words is None else Synthesis(audio, words, phones)


def _word_times(
    text: str, events: list[tuple[int, float]], phones: list[tuple[str, float]], duration: float
) -> list[tuple[str, float, float]] | None:
    """Give each word of ``text`` its start and end; None when the engine joined two words inseparably.

    ``events`` are (character position, start in seconds).  A word ends where the next one starts or where
    the pause before the next one starts.
    """
    pauses = [start for name, start in phones if name.startswith("_")]
    spans: list[tuple[str, float]] = []
    position = 0
    for word in text.split():
        begin = text.index(word, position)
        position = begin + len(word)
        inside = [start for where, start in events if begin <= where < position]
        if not inside and word == "the" and spans:
            # Speech has no gap in "for the"; the engine gives one event for both, so look for the consonant.
            following = min((start for where, start in events if where >= position), default=duration)
            inside = [s for name, s in phones if name in ("D", "d") and spans[-1][1] < s < following][-1:]
        if not inside:
            return None
        spans.append((word, inside[0]))
    words = []
    for index, (word, start) in enumerate(spans):
        end = spans[index + 1][1] if index + 1 < len(spans) else duration
        end = min([p for p in pauses if start + 0.03 < p < end], default=end)
        words.append((word, start, round(end, 3)))
    return words
