"""What is decoded again: the thresholds, the stretches without a word, and what takes whose place."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sessionscribe.artifacts import SAMPLE_RATE, Span
from sessionscribe.config import Transcribe
from sessionscribe.engines.decoded import Decoded, TimedWord
from sessionscribe.redecoding import (
    NO_WORD,
    REPEATS,
    SILENCE,
    UNSURE,
    _uncovered,
    doubt,
    find_doubtful,
    redecode,
)

OPTIONS = Transcribe(decoding="batched")


def span(start_s: float, stop_s: float) -> Span:
    return Span(start=round(start_s * SAMPLE_RATE), stop=round(stop_s * SAMPLE_RATE))


def segment(*words: tuple[float, float], window: int | None = 0, **more: float) -> Decoded:
    scores = {
        "average_log_probability": -0.2,
        "no_speech_probability": 0.1,
        "compression_ratio": 1.2,
    } | more
    timed = tuple(TimedWord("word", start, end, 0.9) for start, end in words)
    start, end = (words[0][0], words[-1][1]) if words else (0.0, 1.0)
    return Decoded("text", start, end, timed, temperature=0.0, window=window, **scores)


def test_the_thresholds_are_those_of_sequential_decoding() -> None:
    assert doubt(segment((0, 1)), OPTIONS) is None
    assert doubt(segment((0, 1), average_log_probability=-1.1), OPTIONS) == UNSURE
    assert doubt(segment((0, 1), compression_ratio=2.5), OPTIONS) == REPEATS
    assert doubt(segment((0, 1), no_speech_probability=0.7), OPTIONS) is None
    silent = segment((0, 1), no_speech_probability=0.7, average_log_probability=-1.1)
    assert doubt(silent, OPTIONS) == SILENCE


def test_a_doubtful_window_and_long_speech_without_a_word_are_found() -> None:
    windows = [span(0, 10), span(12, 20), span(21, 30)]
    unsure = segment((12.5, 13), window=1, average_log_probability=-2.0)
    found = find_doubtful(
        [segment((0.2, 1), (1, 3), (7, 10)), unsure, segment((21, 25), (27.5, 30), window=2)],
        windows,
        [span(0, 10), span(12, 20), span(21, 30)],
        OPTIONS,
    )
    assert [(part.span, part.reason) for part in found] == [(span(3, 7), NO_WORD), (span(12, 20), UNSURE)]
    assert found[1].replaced == (unsure,)


def test_a_window_in_which_nothing_was_heard_is_found_too() -> None:
    (found,) = find_doubtful([], [span(0, 10)], [span(0, 4), span(8, 10)], OPTIONS)
    assert (found.span, found.reason, found.replaced) == (span(0, 4), NO_WORD, ())


SPANS = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), max_size=8).map(
    lambda steps: [
        Span(start=sum(a + b for a, b in steps[:i]) + gap, stop=sum(a + b for a, b in steps[: i + 1]))
        for i, (gap, _) in enumerate(steps)
    ]
)


@given(speech=SPANS, taken=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 60)), max_size=8))
def test_what_is_uncovered_is_speech_and_not_taken(speech: list[Span], taken: list[tuple[int, int]]) -> None:
    others = [Span(start=start, stop=start + length) for start, length in sorted(taken)]
    wanted = np.zeros(1000, bool)
    for part in speech:
        wanted[part.start : part.stop] = True
    for part in others:
        wanted[part.start : part.stop] = False
    found = np.zeros(1000, int)
    for part in _uncovered(speech, others):
        found[part.start : part.stop] += 1
    assert (found == wanted).all(), "all of it, and each sample once"


def test_what_is_found_takes_the_place_of_what_it_replaces_and_stays_inside() -> None:
    bad = segment((11, 12), average_log_probability=-2.0, window=1)
    first = [segment((1, 2)), bad, segment((25, 26), window=2)]
    doubtful = find_doubtful(first, [span(0, 10), span(10, 20), span(20, 30)], [span(1, 2)], OPTIONS)
    asked: list[Span] = []

    def decode(part: Span) -> list[Decoded]:
        asked.append(part)
        return [segment((0.5, 1), (9, 11), window=None)]

    every, done = redecode(first, doubtful, decode)
    assert asked == [span(10, 20)]
    assert [s.start for s in every] == [1, 10.5, 25]
    assert [(w.start, w.end) for w in every[1].words] == [(10.5, 11), (19, 20)]
    assert done[0].replaced == (bad,)
    assert done[0].found == (every[1],)


def test_without_doubt_nothing_is_decoded() -> None:
    first = [segment((0, 1))]
    doubtful = find_doubtful(first, [span(0, 1)], [span(0, 1)], OPTIONS)
    assert redecode(first, doubtful, lambda _: []) == (first, [])
