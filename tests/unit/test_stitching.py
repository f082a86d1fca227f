"""Stitched windows: times find their way back."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sessionscribe.artifacts.plan import Span
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.engines.decoded import Decoded, TimedWord
from sessionscribe.engines.stitching import restored, stitched

PIECES = st.lists(st.tuples(st.integers(0, 80_000), st.integers(800, 80_000)), min_size=1, max_size=6).map(
    lambda steps: [
        Span(start=sum(a + b for a, b in steps[:i]) + gap, stop=sum(a + b for a, b in steps[: i + 1]))
        for i, (gap, _) in enumerate(steps)
    ]
)


def segment(*words: tuple[float, float]) -> Decoded:
    timed = tuple(TimedWord("word", start, end, 0.5) for start, end in words)
    return Decoded("text", words[0][0], words[-1][1], timed, -0.1, 0.1, 1.0, 0.0)


@given(pieces=PIECES, data=st.data())
def test_a_word_comes_to_lie_where_its_samples_came_from(pieces: list[Span], data: st.DataObject) -> None:
    audio = np.arange(pieces[-1].stop, dtype=np.float32)
    window = stitched(audio, pieces)
    assert len(window) == sum(piece.stop - piece.start for piece in pieces)
    at = data.draw(st.integers(0, len(window) - 1))
    begin = pieces[0].start / SAMPLE_RATE
    time = begin + (at + 0.25) / SAMPLE_RATE
    (word,) = restored(segment((time, time)), pieces).words
    assert abs(word.start - (window[at] + 0.25) / SAMPLE_RATE) < 1e-6


@given(pieces=PIECES, times=st.lists(st.tuples(st.floats(0, 30), st.floats(0, 3)), min_size=1, max_size=9))
def test_words_stay_in_order_and_in_speech(pieces: list[Span], times: list[tuple[float, float]]) -> None:
    begin, clock, words = pieces[0].start / SAMPLE_RATE, 0.0, []
    for gap, length in times:
        words.append((begin + clock + gap, begin + clock + gap + length))
        clock += gap + length
    found = restored(segment(*words), pieces)
    middles = [(word.start + word.end) / 2 for word in found.words]
    assert all(word.start <= word.end for word in found.words)
    for word in found.words:
        assert any(
            p.start <= word.start * SAMPLE_RATE + 1e-3 and word.end * SAMPLE_RATE - 1e-3 <= p.stop
            for p in pieces
        )
    assert all(b - a > -1e-6 for a, b in pairwise(middles))
