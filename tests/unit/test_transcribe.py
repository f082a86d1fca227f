"""Transcription without a model: where is decoded, where words land, what is taken out, who votes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders
from sessionscribe.artifacts.chunk_transcript import ChunkTranscript, Language
from sessionscribe.artifacts.plan import Span
from sessionscribe.config.settings import Transcribe
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.engines.decoded import Decoded, TimedWord
from sessionscribe.stages.transcribe import transcribe

OPTIONS = Transcribe(language="en")


HEARD = Span(start=0, stop=192_000)
SPANS = st.builds(
    lambda start, stop: Span(start=start, stop=stop), st.integers(0, 300_000), st.integers(300_000, 900_000)
)


def decoded(*words: tuple[str, float, float], **more: Any) -> Decoded:
    found = Decoded(
        text=" ".join(text for text, *_ in words),
        start=words[0][1] if words else 0.0,
        end=words[-1][2] if words else 1.0,
        words=tuple(TimedWord(text, start, end, 0.87654321) for text, start, end in words),
        avg_logprob=-0.3,
        no_speech_prob=0.1,
        compression_ratio=1.3,
        temperature=0.0,
    )
    return replace(found, **more)


def test_words_are_moved_to_the_clock_of_their_track() -> None:
    segment = transcribe._placed(decoded(("hello", 2.5, 2.9)), Span(start=128_000, stop=352_000), "en")
    assert (segment.words[0].start, segment.words[0].end) == (10.5, 10.9)
    assert (segment.start, segment.end) == (10.5, 10.9)
    assert segment.words[0].probability == 0.8765


def test_a_segment_has_a_language_of_its_own_where_it_is_not_the_chunks() -> None:
    both = [transcribe._placed(decoded(("ja", 0, 1), language=code), HEARD, "en") for code in ("en", "de")]
    assert ["language" in segment.model_dump() for segment in both] == [False, True]
    assert both[1].language == "de"


TIMES = st.floats(-5, 60, allow_nan=False)


@given(words=st.lists(st.tuples(st.sampled_from(["a", "b"]), TIMES, TIMES), max_size=8), of=SPANS)
def test_whatever_the_engine_says_words_are_in_order_and_inside_the_chunk(
    words: list[tuple[str, float, float]], of: Span
) -> None:
    segment = transcribe._placed(decoded(*words), of, "en")
    starts = [word.start for word in segment.words]
    assert starts == sorted(starts)
    low, high = of.start / SAMPLE_RATE - 0.001, of.stop / SAMPLE_RATE + 0.001
    assert all(low <= word.start <= word.end <= high for word in segment.words)
    assert [word.text for word in segment.words] == [text for text, *_ in words]
    assert segment.start <= segment.end


def guard(*segments: Decoded) -> tuple[list[str], list[str]]:
    kept, removed = transcribe._filtered(segments, HEARD, "en", [(0, 1 << 40)], OPTIONS)
    return [segment.text for segment in kept], [segment.reason for segment in removed]


def test_what_a_threshold_takes_out_is_kept_with_the_reason() -> None:
    good = decoded(("good", 0, 1))
    silent = decoded(("you", 1, 2), no_speech_prob=0.9, avg_logprob=-1.5)
    again = decoded(("la", 2, 3), compression_ratio=3.0)
    kept, reasons = guard(good, silent, again)
    assert kept == ["good"]
    assert reasons[0].startswith("taken for silence")
    assert reasons[1].startswith("repeats itself")


def test_what_the_engine_left_out_is_kept_with_its_reason() -> None:
    assert guard(decoded(("hm", 0, 1), suppressed="not liked")) == ([], ["not liked"])


def test_a_sure_word_in_a_quiet_window_stays() -> None:
    assert guard(decoded(("yes", 0, 1), no_speech_prob=0.9)) == (["yes"], [])


def test_text_without_words_is_not_lost_and_nothing_is_nothing() -> None:
    assert guard(decoded(text="ghost"), decoded(text="")) == ([], ["no words"])


class NoModel:
    def __init__(self, *_: Any, **__: Any) -> None:
        raise AssertionError("no model may be loaded here")


def test_silence_is_not_given_to_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcribe, "speech_engine", lambda _: SimpleNamespace(speech_model=NoModel))
    plan = builders.plan(20, [(10, "silence")], speech=[(13, 19)])
    found = transcribe.transcribe_chunk(
        audio=tmp_path / "none.flac",
        plan=plan,
        index=0,
        language="en",
        options=OPTIONS,
        threads=1,
        output=tmp_path / "c.json",
    )
    assert found.segments == found.removed == []
    assert found.engine.name == "none"
    assert ChunkTranscript.read(tmp_path / "c.json") == found


class Votes:
    def __init__(self, *_: Any, **__: Any) -> None:
        self.answers = iter([("en", 0.5), ("de", 0.9), ("en", 0.6), ("fr", 0.3), ("de", 0.1)])

    def detect_language(self, _: Any) -> tuple[str, float]:
        return next(self.answers)


def language(tmp_path: Path, options: Transcribe, speech: list[tuple[float, float]]) -> Language:
    return transcribe.detect_language(
        plans=[builders.plan(600, speech=speech)],
        audio=[tmp_path / "a.flac"],
        session="s",
        options=options,
        threads=1,
        output=tmp_path / "language.json",
    )


def test_a_given_language_is_noted_without_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcribe, "speech_engine", lambda _: SimpleNamespace(speech_model=NoModel))
    found = language(tmp_path, OPTIONS, [(0, 5)])
    assert (found.language, found.probability, found.given) == ("en", 1.0, True)


def test_silence_has_no_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcribe, "speech_engine", lambda _: SimpleNamespace(speech_model=NoModel))
    found = language(tmp_path, Transcribe(), [])
    assert (found.language, found.given) == (transcribe.UNDETERMINED, False)


def test_votes_count_by_their_probability(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcribe, "speech_engine", lambda _: SimpleNamespace(speech_model=Votes))
    monkeypatch.setattr(transcribe, "read_samples", lambda *_, **__: np.zeros(16_000, np.float32))
    found = language(tmp_path, Transcribe(), [(i * 60, i * 60 + 9) for i in range(10)])
    assert found.language == "en"
    assert found.probability == round(1.1 / 2.4, 4)
    assert [vote.start for vote in found.votes] == [60, 180, 300, 420, 540]
