"""Make sounds without words: ``python -m natural_voices.sounds CONVERSATION… --to FOLDER``.

A transcript must not invent words for them. The conversations provide the voices for unintelligible speech: a
crowd, speech played backwards, singing.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from .media import FLAC, SAMPLE_RATE, Audio, read_audio, write_audio
from .signals import filtered, levelled, stretched

Rng = np.random.Generator
SCALE = (0, 2, 4, 5, 7, 9, 11)
CHORDS = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))


def noise(seconds: float, rng: Rng, slope: float = 0.0) -> Audio:
    """Return noise whose power falls by ``f ** -slope``: 0 white, 1 pink, 2 brown."""
    samples = round(seconds * SAMPLE_RATE)
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency = np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE), 20)
    return levelled(np.fft.irfft(spectrum * frequency ** (-slope / 2), samples), -30)


def hum(seconds: float, rng: Rng) -> Audio:
    """Return mains hum with overtones, slowly varying in level."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * 50 * n * time + rng.uniform(0, 6)) / n for n in (1, 2, 3, 4, 6, 10))
    return levelled(tone * (1 + 0.2 * np.sin(2 * np.pi * 0.1 * time)), -30) + noise(seconds, rng) * 0.05


def note(pitch: float, seconds: float, partials: Sequence[float], decay: float) -> Audio:
    """Return a tone with a pitch (semitones above middle C) whose partials decay at a rate (1/s)."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    frequency = 261.63 * 2 ** (pitch / 12)
    tone = sum(
        strength * np.sin(2 * np.pi * frequency * n * time) * np.exp(-decay * n**0.5 * time)
        for n, strength in enumerate(partials, 1)
        if frequency * n < SAMPLE_RATE / 2
    )
    edge = np.minimum(1, np.minimum(time, seconds - time) / 0.01)
    return (tone * edge).astype(np.float32)


def drum(kind: str, rng: Rng) -> Audio:
    """Return one beat of a drum: ``kick``, ``snare`` or ``hat``."""
    time = np.arange(SAMPLE_RATE // 5) / SAMPLE_RATE
    hiss = rng.standard_normal(len(time))
    if kind == "kick":
        return np.sin(2 * np.pi * (45 * time + 3 * (1 - np.exp(-30 * time)))) * np.exp(-14 * time)
    if kind == "snare":
        return (0.5 * hiss + np.sin(2 * np.pi * 185 * time)) * np.exp(-22 * time)
    return np.diff(hiss, prepend=0) * 0.3 * np.exp(-60 * time)


STYLES: dict[str, tuple[float, tuple[float, ...], float, tuple[str, ...]]] = {
    # beat (s), partials of the melody, decay, drums by half beat
    "piano": (0.6, (1, 0.5, 0.25, 0.12, 0.06), 2.5, ()),
    "strings": (1.1, (1, 0.7, 0.5, 0.4, 0.3, 0.2, 0.1), 0.1, ()),
    "rock": (0.45, (1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3), 0.8, ("kick", "hat", "snare", "hat")),
    "dance": (0.47, (1, 0, 0.33, 0, 0.2, 0, 0.14), 5.0, ("kick", "hat", "kick", "hat")),
    "flute": (0.7, (1, 0.15, 0.05), 0.4, ("hat", "", "", "")),
}


def music(style: str, seconds: float, rng: Rng) -> Audio:
    """Return music without voices: chords, a bass, a random melody, and the style's drums."""
    beat, partials, decay, drums = STYLES[style]
    track = np.zeros(round(seconds * SAMPLE_RATE) + 8 * SAMPLE_RATE, dtype=np.float32)

    def play(at: float, sound: Audio, level: float) -> None:
        start = round(at * SAMPLE_RATE)
        track[start : start + len(sound)] += np.float32(level) * sound

    key, step = int(rng.integers(-5, 6)), 4
    for index, at in enumerate(np.arange(0, seconds, 4 * beat)):
        chord = CHORDS[(index + index // 8) % 4]
        for pitch in chord:
            play(at, note(pitch + key, 4 * beat, partials, decay), 0.25)
        play(at, note(chord[0] + key - 24, 4 * beat, (1, 0.5, 0.2), 0.6), 0.5)
        offset = 0.0
        while offset < 4:
            length = float(rng.choice([0.5, 1, 1, 2]))
            step = int(np.clip(step + rng.integers(-2, 3), 0, 13))
            pitch = key + SCALE[step % 7] + 12 * (step // 7) + 12
            tone, level = note(pitch, length * beat, partials, decay), 0.35 if rng.random() < 0.85 else 0
            play(at + offset * beat, tone, level)
            offset += length
        for half in range(8 if drums else 0):
            if drums[half % 4]:
                play(at + half * beat / 2, drum(drums[half % 4], rng).astype(np.float32), 0.4)
    return levelled(track[: round(seconds * SAMPLE_RATE)], -22)


def bursts(seconds: float, rng: Rng, gap_s: tuple[float, float], burst: Callable[[], Audio]) -> Audio:
    """Return short sounds in succession (``gap_s``: between their starts) over faint noise."""
    track = np.zeros(round(seconds * SAMPLE_RATE) + 4 * SAMPLE_RATE)
    at = 0.5
    while at < seconds:
        sound = burst()
        start = round(at * SAMPLE_RATE)
        track[start : start + len(sound)] += sound
        at += rng.uniform(*gap_s)
    return levelled(track[: round(seconds * SAMPLE_RATE)], -32) + noise(seconds, rng, 1) * 0.03


def typing(seconds: float, rng: Rng) -> Audio:
    """Return the sound of a keyboard."""

    def key() -> Audio:
        time = np.arange(round(rng.uniform(0.02, 0.06) * SAMPLE_RATE)) / SAMPLE_RATE
        click = rng.standard_normal(len(time)) * np.exp(-rng.uniform(90, 250) * time)
        return rng.uniform(0.3, 1) * (
            click + 0.5 * np.sin(2 * np.pi * rng.uniform(300, 900) * time) * np.exp(-120 * time)
        )

    return bursts(seconds, rng, (0.06, 0.4), key)


def breath(seconds: float, rng: Rng) -> Audio:
    """Return breath close to a microphone."""

    def one() -> Audio:
        length = rng.uniform(0.6, 1.5)
        low = rng.uniform(300, 900)
        return filtered(noise(length, rng), low, low * 4) * np.hanning(round(length * SAMPLE_RATE)) ** 2

    return bursts(seconds, rng, (1.5, 3.0), one)


def laughter(seconds: float, rng: Rng) -> Audio:
    """Return bursts like laughter: series of voiced, breathy puffs with falling pitch."""

    def row() -> Audio:
        pitch = rng.uniform(-9, 9)
        puffs = []
        for puff in range(int(rng.integers(4, 11))):
            tone = note(pitch - 0.5 * puff, rng.uniform(0.08, 0.13), [n**-0.8 for n in range(1, 16)], 6)
            voiced = tone + 0.6 * rng.standard_normal(len(tone))
            formed = filtered(voiced, 500, 1100) + 0.5 * filtered(voiced, 1200, 2200)
            puffs += [
                formed * np.hanning(len(formed)),
                np.zeros(round(rng.uniform(0.06, 0.11) * SAMPLE_RATE)),
            ]
        return np.concatenate(puffs)

    return bursts(seconds, rng, (2.0, 4.0), row)


def crowd(seconds: float, rng: Rng, voices: Sequence[Audio], people: int = 14) -> Audio:
    """Return many people talking at once, far from the microphone."""
    every = np.concatenate(voices)
    size = round(seconds * SAMPLE_RATE)
    mixed = sum(
        np.roll(every, int(rng.integers(len(every))))[:size] * rng.uniform(0.5, 1) for _ in range(people)
    )
    return levelled(filtered(mixed, 150, 3000), -28)


def reversed_speech(seconds: float, rng: Rng, voices: Sequence[Audio]) -> Audio:
    """Return pieces of all voices, reversed."""
    size = round(seconds * SAMPLE_RATE / len(voices))
    starts = [int(rng.integers(len(voice) - size)) for voice in voices]
    return np.concatenate([voice[at : at + size][::-1] for voice, at in zip(voices, starts, strict=True)])


def singing(seconds: float, rng: Rng, voice: Audio) -> Audio:
    """Return a voice at half its pace whose pitch follows a melody, with a strong vibrato."""
    slow = stretched(voice[: round(seconds * SAMPLE_RATE)], 0.5)
    size = round(seconds * SAMPLE_RATE)
    time = np.arange(size) / SAMPLE_RATE
    notes = rng.choice([-5, -3, 0, 2, 4, 7], size=round(seconds / 0.7) + 1)
    melody = notes[(time / 0.7).astype(int)] + 0.8 * np.sin(2 * np.pi * 5.5 * time)
    read_at = np.cumsum(2 ** (melody / 12))
    return np.interp(read_at % (len(slow) - 1), np.arange(len(slow)), slow).astype(np.float32)


def sounds(voices: Sequence[Audio]) -> Iterator[tuple[str, Callable[[Rng], Audio]]]:
    """Yield the name of each sound and the function that makes it."""
    for name, slope in (("white", 0.0), ("pink", 1.0), ("brown", 2.0)):
        yield f"noise-{name}", lambda rng, slope=slope: noise(300, rng, slope)
    yield "noise-hum", lambda rng: hum(300, rng)
    yield "silence-digital", lambda rng: np.zeros(600 * SAMPLE_RATE, dtype=np.float32)
    yield "silence-room", lambda rng: levelled(noise(600, rng, 1.0), -65)
    for style in STYLES:
        yield f"music-{style}", lambda rng, style=style: music(style, 240, rng)
    yield "typing", lambda rng: typing(180, rng)
    yield "breath", lambda rng: breath(120, rng)
    yield "laughter", lambda rng: laughter(120, rng)
    yield "crowd", lambda rng: crowd(180, rng, voices)
    yield "reversed", lambda rng: reversed_speech(60, rng, voices)
    yield "singing", lambda rng: singing(60, rng, voices[0])


def main() -> None:
    """Write every sound as FLAC."""
    parser = argparse.ArgumentParser(prog="natural_voices.sounds", description=__doc__)
    parser.add_argument("conversations", nargs="+", type=Path)
    parser.add_argument("--to", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    voices = [read_audio(path) for path in arguments.conversations]
    for name, make in sounds(voices):
        audio = make(np.random.default_rng(zlib.crc32(name.encode())))
        write_audio(arguments.to / f"{name}.flac", audio, FLAC)


if __name__ == "__main__":
    main()
