"""Where a session has several languages: each window's own, wherever it is cut."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import soundfile
from faster_whisper.audio import decode_audio
from hypothesis import given
from hypothesis import strategies as st

from sessionscribe.artifacts.chunk_transcript import ChunkTranscript
from sessionscribe.artifacts.plan import Span, chunk_count
from sessionscribe.config.settings import Chunk, Transcribe
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.engines import models
from sessionscribe.stages.chunk.chunk import plan_chunks
from sessionscribe.stages.transcribe.spoken_languages import by_language
from sessionscribe.stages.transcribe.transcribe import transcribe_chunk
from sessionscribe.stages.transcribe.windows import Window


def window(*stretches: tuple[float, float]) -> Window:
    return tuple(
        Span(start=round(start * SAMPLE_RATE), stop=round(stop * SAMPLE_RATE)) for start, stop in stretches
    )


def heard(window: Window, *answers: tuple[str, float]) -> list[tuple[Window, str]]:
    left = list(answers)
    return by_language([window], lambda _: left.pop(0))


LONG = window((0, 9), (10, 19), (20, 29))


def test_a_window_of_one_language_stays_whole() -> None:
    assert heard(LONG, ("de", 0.9), ("de", 0.9), ("de", 0.9)) == [(LONG, "de")]
    unbroken = window((0, 28))
    assert heard(unbroken, ("de", 0.9), ("de", 0.9), ("de", 0.9)) == [(unbroken, "de")]


def test_it_is_parted_where_the_language_changes() -> None:
    assert heard(LONG, ("en", 0.9), ("de", 0.9), ("de", 0.9)) == [(LONG[:1], "en"), (LONG[1:], "de")]


def test_what_is_not_sure_is_in_the_language_beside_it() -> None:
    assert heard(LONG, ("fr", 0.3), ("en", 0.9), ("nn", 0.4)) == [(LONG, "en")]
    assert heard(LONG, ("en", 0.9), ("nn", 0.2), ("de", 0.9)) == [(LONG[:2], "en"), (LONG[2:], "de")]
    assert heard(LONG, ("nn", 0.3), ("en", 0.2), ("en", 0.2)) == [(LONG, "en")]


@given(
    lengths=st.lists(st.tuples(st.floats(0.2, 29), st.floats(0.1, 3)), min_size=1, max_size=4),
    codes=st.lists(st.sampled_from([("en", 0.9), ("de", 0.9), ("fr", 0.2)]), min_size=40, max_size=40),
)
def test_no_speech_is_lost_or_heard_twice(
    lengths: list[tuple[float, float]], codes: list[tuple[str, float]]
) -> None:
    at, stretches = 0.0, []
    for length, pause in lengths:
        stretches.append((at, at + length))
        at += length + pause
    found = heard(window(*stretches), *codes)
    pieces = [piece for part, _ in found for piece in part]
    assert sum(piece.stop - piece.start for piece in pieces) == sum(
        piece.stop - piece.start for piece in window(*stretches)
    )
    assert all(a.stop <= b.start for a, b in pairwise(pieces))
    assert all(one != other for (_, one), (_, other) in pairwise(found))


@pytest.mark.real
def test_german_and_english_both_come_out_in_their_language(
    whisper_base: Path, shared: Path, tmp_path: Path
) -> None:
    audio = tmp_path / "both.flac"
    samples = decode_audio(str(shared / "data/misc/multilingual.mp3"))[20 * SAMPLE_RATE : 42 * SAMPLE_RATE]
    soundfile.write(audio, samples, SAMPLE_RATE)
    options = Transcribe(model=models.WHISPER["base"], device="cpu", compute_type="int8", language="mixed")

    def transcribed(target_s: float) -> list[ChunkTranscript]:
        chunk = Chunk(target_s=target_s, search_s=3)
        count = chunk_count(len(samples) / SAMPLE_RATE, target_s)
        plan = plan_chunks(
            audio=audio, session="s", track="t", chunks=count, options=chunk, output=tmp_path / "plan.json"
        )
        return [
            transcribe_chunk(
                audio=audio,
                plan=plan,
                index=core.index,
                language="mixed",
                options=options,
                threads=2,
                output=tmp_path / "chunk.json",
            )
            for core in plan.cores
        ]

    (whole,) = transcribed(600)
    said = [(segment.language or whole.language, segment.text) for segment in whole.segments]
    assert {code for code, _ in said} == {"en", "de"}
    assert any(code == "en" and "copyright notice" in text for code, text in said)
    assert any(code == "de" and "Software" in text and "Jeden" in text for code, text in said)
    cut = transcribed(11)
    assert len(cut) > 1
    assert [(s.language or c.language, s.text) for c in cut for s in c.segments] == said
