"""What is told to a model before every window: it fits, it is a list, and who is not in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

from sessionscribe.artifacts.plan import Span
from sessionscribe.config.settings import Transcribe
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.engines import models
from sessionscribe.engines.prompts import ROOM, Prompt, counter, prompt, terms_of
from sessionscribe.engines.whisper import SpeechModel

MANY = " ".join(f"Zermatt{number}" for number in range(300))


def told(hotwords: str, before: str = "") -> Prompt:
    """The prompt for a model that has one token for each word."""
    return prompt(Transcribe(hotwords=hotwords, initial_prompt=before), lambda text: len(text.split()))


def test_bare_words_become_a_list_and_lists_stay_what_they_are() -> None:
    assert told("Strahd Barovia") == Prompt("Strahd, Barovia,", [])
    assert told("Strahd von Zarovich, Barovia") == Prompt("Strahd von Zarovich, Barovia,", [])
    assert told("Strahd Barovia; Van Richten, Vallaki").text == "Strahd, Barovia, Van Richten, Vallaki,"
    assert told("東京、大阪").text == "東京, 大阪,"
    assert told("  ").text == ""


def test_the_text_before_is_as_it_was_given() -> None:
    assert told("Barovia", "Well, I mean …").text == "Well, I mean … Barovia,"
    assert told("", "Well.").text == "Well."


def test_what_there_is_no_room_for_is_named() -> None:
    found = told(MANY)
    assert len(found.text.split()) == ROOM
    assert found.unused == MANY.split()[ROOM:]
    assert told("Barovia", MANY).unused == [*MANY.split()[ROOM:], "Barovia"]
    assert terms_of(found.text) + found.unused == MANY.split()


@pytest.mark.real
def test_as_much_as_the_engine_has_room_for(whisper_base: Path) -> None:
    count = counter(whisper_base)
    found = prompt(Transcribe(hotwords=MANY), count)
    assert ROOM - 10 < count(found.text) <= ROOM
    assert found.unused


@pytest.mark.real
def test_hotwords_are_heard_and_cost_no_words(whisper_base: Path, shared: Path) -> None:
    samples, _ = soundfile.read(shared / "data/librispeech/five_minutes.flac", dtype="float32")
    options = Transcribe(model=models.WHISPER["base"], device="cpu", compute_type="int8")
    model = SpeechModel(options, threads=2)
    window = (Span(start=228 * SAMPLE_RATE, stop=242 * SAMPLE_RATE),)

    def text(hotwords: str) -> str:
        given = options.model_copy(update={"hotwords": hotwords})
        return " ".join(segment.text for segment in model.transcribe(samples, [window], "en", given))

    plain, told = text(""), text("Innes Liddy Thornton Margaret Hale Merneptah Sherburn Zau")
    assert ("Sherburn" in told, "Sherburn" in plain) == (True, False)
    assert len(told.split()) >= len(plain.split()) - 2
    assert marks(told) >= marks(plain) - 1


def marks(text: str) -> int:
    return sum(text.count(mark) for mark in ".,?!")
