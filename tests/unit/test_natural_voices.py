"""The recipe of the natural voices: its texts, and what it does to recordings; no synthesizer is needed."""

from __future__ import annotations

import re

import numpy as np
import pytest
from natural_voices.people import PEOPLE
from natural_voices.perturb import PERTURBATIONS
from natural_voices.signals import merge_intervals, speech_intervals

from project import ROOT

TEXTS = {
    path.stem: path.read_text(encoding="utf-8").splitlines()
    for path in sorted((ROOT / "benchmarks/natural_voices/texts").glob("*.txt"))
}


def kind(name: str) -> str:
    return name.partition("-")[0]


def test_every_line_is_said_by_somebody_with_a_voice() -> None:
    for name, lines in TEXTS.items():
        for line in lines:
            speaker, _, said = line.partition(": ")
            assert speaker in PEOPLE, (name, line)
            assert re.fullmatch(r"(<<? )?[A-Z$\d].*[.!?—]", said), (name, line)


def test_what_is_tuned_on_and_what_is_measured_on_share_no_person_and_no_sentence() -> None:
    people: dict[str, set[str]] = {}
    sentences: dict[str, set[str]] = {}
    for name, lines in TEXTS.items():
        for speaker, _, said in (line.partition(": ") for line in lines):
            people.setdefault(kind(name), set()).add(speaker)
            sentences.setdefault(kind(name), set()).add(said.lstrip("< "))
    assert not people["dev"] & people["test"]
    assert not sentences["dev"] & sentences["test"]


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_perturbed_recording_says_where_its_moments_went(name: str) -> None:
    """A click at four seconds is found at the moment where the rule puts it."""
    audio = np.random.default_rng(1).normal(0, 1e-4, 96_000).astype(np.float32)
    audio[64_000:64_400] = 0.5 * np.sin(np.arange(400) / 4)
    changed = PERTURBATIONS[name](audio, np.random.default_rng(2))
    assert changed.audio.dtype == np.float32
    at = round(changed.time(4.0) * 16_000)
    energy = np.convolve(np.square(changed.audio[at - 32_000 : at + 32_000]), np.ones(400), "valid")
    assert abs(int(energy.argmax()) - 32_000) < 700
    assert np.abs(changed.audio).max() <= 1


def test_intervals_are_joined_where_they_are_near() -> None:
    assert merge_intervals([(2.0, 3.0), (0.0, 1.0), (1.2, 1.5)], 0.3) == [(0.0, 1.5), (2.0, 3.0)]
    assert merge_intervals([], 0.3) == []


def test_speech_begins_and_ends_where_there_is_sound() -> None:
    audio = np.zeros(16_000, dtype=np.float32)
    assert speech_intervals(audio) == speech_intervals(audio[:0]) == []
    audio[3_200:12_800] = 0.3 * np.sin(np.arange(9_600) / 17)
    (found,) = speech_intervals(audio)
    assert found == pytest.approx((0.2, 0.8), abs=0.02)
