"""Hallucination guards: what is invented goes, with the reason; what people say stays."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders
from sessionscribe.artifacts.chunk_transcript import Segment
from sessionscribe.config.settings import Transcribe
from sessionscribe.core.intervals import Interval
from sessionscribe.core.repetition import Run, runs
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.stages.transcribe.hallucinations import is_hallucination, kind_of_phrase, phrases

OPTIONS = Transcribe()
UNSURE = {"avg_logprob": -0.9}
QUIET = {"no_speech_prob": 0.9}


def segment(text: str, start: float = 0.0, step: float = 0.4, **scores: float) -> Segment:
    made = builders.segment(builders.words(text, start, step))
    return made.model_copy(update=scores)


def speech(*spans: tuple[float, float]) -> list[Interval]:
    return [(round(a * SAMPLE_RATE), round(b * SAMPLE_RATE)) for a, b in spans]


def test_every_phrase_is_known_whatever_case_spaces_and_marks() -> None:
    for kind, languages in phrases().items():
        for own in languages.values():
            for phrase in own:
                assert kind_of_phrase(f" {phrase.casefold()}! ") == kind
                assert kind_of_phrase(f"{phrase} {phrase}") == kind
                assert kind_of_phrase(f"{phrase} Then we left.") is None


def test_a_credit_of_another_year_is_one_too_and_a_credit_before_a_closing() -> None:
    assert kind_of_phrase("Untertitelung des ZDF, 2031") == "credits"
    assert kind_of_phrase("Thank you for watching. Subtitles by the Amara.org community") == "closings"


@pytest.mark.parametrize("text", ["", "...", "Thank you for the report", "Your turn", "Amara"])
def test_other_texts_are_no_phantoms(text: str) -> None:
    assert kind_of_phrase(text) is None


@pytest.mark.parametrize(
    ("text", "scores", "where", "goes"),
    [
        ("Thank you.", {}, speech((0, 5)), False),
        ("Thank you.", QUIET, speech((0, 5)), False),
        ("Thank you.", QUIET | UNSURE, speech((0, 5)), True),
        ("Thank you.", {}, speech((5, 9)), True),
        ("Thank you.", {}, [], True),
        ("ご視聴ありがとうございました", {}, speech((3, 9)), True),
        ("Untertitel von Stephanie Geiges", {}, speech((0, 5)), False),
        ("Untertitel von Stephanie Geiges", UNSURE, speech((0, 5)), True),
        ("Thank you Martin.", QUIET | UNSURE, speech((0, 5)), False),
    ],
)
def test_a_phantom_phrase_goes_only_where_nothing_speaks_for_it(
    text: str, scores: dict[str, float], where: list[Interval], goes: bool
) -> None:
    assert is_hallucination(segment(text, **scores), where, OPTIONS) == goes


def test_the_filter_can_be_switched_off() -> None:
    off = OPTIONS.model_copy(update={"filter_phrases": False})
    assert not is_hallucination(segment("Thank you.", **QUIET, **UNSURE), [], off)


def test_runs_are_found_with_the_shortest_phrase() -> None:
    assert runs(["a", "b", "a", "b", "a", "b", "a", "b", "a", "b", "c"], most=4) == [Run(0, 2, 5)]
    assert runs(["x", "a", "a", "a", "a", "a", "a", "a", "a", "a", "y"], most=4) == [Run(1, 1, 9)]
    assert runs(["a", "a", "a", "a", "a", "a", "a", "a"], most=4) == [], (
        "a single word may come twice as often"
    )
    assert runs(["a", "b", "c", "a", "b", "c"], most=4) == []


@given(st.lists(st.sampled_from("ab"), max_size=60), st.integers(1, 5))
def test_a_run_is_what_it_says(texts: list[str], most: int) -> None:
    found = runs(texts, most=most)
    assert all(one.stop <= other.first for one, other in pairwise(found))
    for run in found:
        phrase = texts[run.first : run.first + run.period]
        assert texts[run.first : run.stop] == phrase * run.times
        assert run.times > most * (2 if run.period == 1 else 1)
