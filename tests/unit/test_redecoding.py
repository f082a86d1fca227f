"""What is decoded again: the thresholds, the stretches without a word, and what takes whose place."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sessionscribe.artifacts import SAMPLE_RATE, Span
from sessionscribe.config import Transcribe
from sessionscribe.engines.decoded import Decoded, TimedWord
from sessionscribe.redecoding import (
    INVENTED,
    NO_WORD,
    REPEATS,
    SILENCE,
    UNSURE,
    Again,
    doubt,
    find_doubtful,
    is_unsure,
    redecode,
    worth_of,
)

OPTIONS = Transcribe(decoding="batched", redecode_s=3)


def span(start_s: float, stop_s: float) -> Span:
    return Span(start=round(start_s * SAMPLE_RATE), stop=round(stop_s * SAMPLE_RATE))


def seconds_of(start: float, end: float) -> list[tuple[float, float]]:
    """A stretch in parts of at most a second: words."""
    edges = [start + i for i in range(math.ceil(end - start))] or [start]
    return list(pairwise([*edges, end]))


def segment(*stretches: tuple[float, float], window: int | None = 0, **more: float) -> Decoded:
    scores = {
        "average_log_probability": -0.2,
        "no_speech_probability": 0.1,
        "compression_ratio": 1.2,
    } | more
    timed = tuple(TimedWord("word", a, b, 0.9) for start, end in stretches for a, b in seconds_of(start, end))
    start, end = (timed[0].start, timed[-1].end) if timed else (0.0, 1.0)
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
    assert found[1].first == (unsure,)


def test_a_window_in_which_nothing_was_heard_is_found_too() -> None:
    (found,) = find_doubtful([], [span(0, 10)], [span(0, 4), span(8, 10)], OPTIONS)
    assert (found.span, found.reason, found.first) == (span(0, 10), NO_WORD, ())


def test_speech_with_pauses_in_it_counts_together_and_words_part_it() -> None:
    speech = [span(0, 2), span(5, 7), span(20, 22)]
    (found,) = find_doubtful([segment((9, 10), window=None)], [span(0, 22)], speech, OPTIONS)
    assert (found.span, found.reason) == (span(0, 7), NO_WORD)


def test_sequential_segments_next_to_one_another_are_decoded_again_as_one() -> None:
    bad = {"average_log_probability": -2.0, "window": None}
    first = [
        segment((0, 2), window=None),
        segment((2.5, 4), **bad),
        segment((4, 6), **bad),
        segment((6, 9), window=None),
    ]
    (found,) = find_doubtful(first, [span(0, 10)], [span(0, 10)], OPTIONS)
    assert (found.span, found.reason, found.first) == (span(2.5, 6), UNSURE, tuple(first[1:3]))


def test_a_doubtful_segment_takes_no_speech_from_those_that_are_settled() -> None:
    first = [
        segment((0, 3), window=None),
        segment((2, 6), average_log_probability=-2.0, window=None),
        segment((5, 8), window=None),
    ]
    (found,) = find_doubtful(first, [span(0, 8)], [span(0, 8)], OPTIONS)
    assert found.span == span(3, 5)


def test_what_the_engine_left_out_settles_nothing() -> None:
    (found,) = find_doubtful([segment((0, 9), left_out="invented")], [span(0, 9)], [span(0, 9)], OPTIONS)
    assert (found.span, found.reason) == (span(0, 9), NO_WORD)


def test_a_word_that_takes_too_long_hides_no_speech() -> None:
    long = replace(segment((0, 9), window=None), words=(TimedWord("word", 0, 9, 0.9),))
    (found,) = find_doubtful([long], [span(0, 9)], [span(0, 9)], OPTIONS)
    assert (found.span, found.reason) == (span(1, 8), NO_WORD)


def test_what_is_not_sure_of_itself_does_not_fill_silence() -> None:
    part, speech = Again(span(0, 9), NO_WORD), [span(0, 9)]
    for scores, wins in (
        ({}, True),
        ({"average_log_probability": -0.8}, False),
        ({"no_speech_probability": 0.4}, False),
    ):
        found = segment((0, 1), window=None, **scores)
        every, (done,) = redecode([], [part], speech, OPTIONS, lambda _, found=found: [found])  # type: ignore[misc]
        assert (every, done.second_wins) == ([found] if wins else [], wins)


def test_one_sure_word_in_a_silence_brings_no_unsure_ones_along() -> None:
    sure = segment((0, 1), window=None)
    phantom = segment((4, 6), window=None, average_log_probability=-0.9, no_speech_probability=0.55)
    every, (done,) = redecode(
        [], [Again(span(0, 9), NO_WORD)], [span(0, 9)], OPTIONS, lambda _: [sure, phantom]
    )
    assert done.second_wins
    assert [(s.start, s.left_out) for s in every] == [(0, ""), (4, INVENTED)], (
        "it is kept aside, with the reason"
    )


def test_doubt_where_nobody_speaks_is_not_decoded_again() -> None:
    bad = segment((12, 14), average_log_probability=-2.0, window=None)
    assert find_doubtful([bad], [span(0, 20)], [span(0, 1)], OPTIONS) == []


def test_more_speech_heard_is_worth_more_and_so_is_surer() -> None:
    speech = [span(0, 10)]
    all_of_it = worth_of([segment((0, 10))], speech, OPTIONS)
    assert all_of_it > worth_of([segment((0, 7))], speech, OPTIONS)
    assert all_of_it > worth_of([segment((0, 10), average_log_probability=-0.3)], speech, OPTIONS)
    assert worth_of([segment((11, 20))], speech, OPTIONS) == 0
    assert worth_of([segment((0, 10), compression_ratio=3.0)], speech, OPTIONS) == 0
    assert worth_of([segment((0, 10), left_out="invented")], speech, OPTIONS) == 0


SEGMENTS = st.lists(st.tuples(st.floats(0, 15), st.floats(0, 5), st.floats(-2, 0)), max_size=4).map(
    lambda found: [segment((a, a + b), average_log_probability=c) for a, b, c in found]
)


@given(first=SEGMENTS, second=SEGMENTS)
def test_the_version_that_is_worth_more_stays_and_the_other_is_kept_aside(
    first: list[Decoded], second: list[Decoded]
) -> None:
    speech = [span(0, 8), span(9, 20)]
    part = Again(span(0, 20), UNSURE, first=tuple(first))
    every, (done,) = redecode(first, [part], speech, OPTIONS, lambda _: second)
    sure = [s for s in second if first or not is_unsure(s, OPTIONS)]
    worths = worth_of(first, speech, OPTIONS), worth_of(sure, speech, OPTIONS)
    assert done.worth == worths
    assert len(every) == len(second if worths[1] > worths[0] else first)
    assert done.first == tuple(first)
    assert [s.start for s in every] == sorted(s.start for s in every)


def test_what_wins_takes_the_place_of_what_it_replaces_and_stays_inside() -> None:
    bad = segment((11, 12), average_log_probability=-2.0, window=1)
    first = [segment((1, 2)), bad, segment((25, 26), window=2)]
    speech = [span(1, 2), span(10, 20)]
    doubtful = find_doubtful(first, [span(0, 10), span(10, 20), span(20, 30)], speech, OPTIONS)
    asked: list[Span] = []

    def decode(part: Span) -> list[Decoded]:
        asked.append(part)
        return [segment((0.5, 1), (9.5, 10.5), window=None)]

    every, done = redecode(first, doubtful, speech, OPTIONS, decode)
    assert asked == [span(10, 20)]
    assert [s.start for s in every] == [1, 10.5, 25]
    assert [(w.start, w.end) for w in every[1].words] == [(10.5, 11), (19.5, 20)]
    assert (done[0].first, done[0].second) == ((bad,), (every[1],))


def test_of_equals_the_first_stays() -> None:
    bad = segment((11, 12), average_log_probability=-2.0)
    every, (done,) = redecode([bad], [Again(span(10, 20), UNSURE, (bad,))], [], OPTIONS, lambda _: [bad])
    assert every == [bad]
    assert not done.second_wins


def test_without_doubt_nothing_is_decoded() -> None:
    first = [segment((0, 1))]
    doubtful = find_doubtful(first, [span(0, 1)], [span(0, 1)], OPTIONS)
    assert redecode(first, doubtful, [span(0, 1)], OPTIONS, lambda _: []) == (first, [])
