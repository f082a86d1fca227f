"""What is decoded again, which version stays, and what of it is taken for invented."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sessionscribe.artifacts.plan import Span
from sessionscribe.config.settings import Transcribe
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.engines.decoded import Decoded, TimedWord
from sessionscribe.stages.transcribe.fallback import (
    ECHO,
    INVENTED,
    MISLED,
    NO_WORD,
    REPEATS,
    ROUNDS,
    SILENCE,
    UNSURE,
    agreement,
    decode_again,
    find_doubtful,
    score,
    suppression,
)
from sessionscribe.stages.transcribe.windows import Window

OPTIONS = Transcribe(fallback_gap_s=2)
UNSURE_SCORES = {"avg_logprob": -0.8}  # and implausible


def span(start_s: float, stop_s: float) -> Span:
    return Span(start=round(start_s * SAMPLE_RATE), stop=round(stop_s * SAMPLE_RATE))


def window(*stretches: tuple[float, float]) -> Window:
    return tuple(span(*stretch) for stretch in stretches)


def said(start: float, end: float, *texts: str, number: int | None = 0, **more: float) -> Decoded:
    """A segment with words of equal length; without texts, of at most half a second."""
    scores = {
        "avg_logprob": -0.2,
        "no_speech_prob": 0.1,
        "compression_ratio": 1.2,
    } | more
    count = len(texts) or math.ceil(2 * (end - start)) or 1
    edges = [start + (end - start) * i / count for i in range(count + 1)]
    words = tuple(
        TimedWord(text, a, b, 0.9)
        for text, (a, b) in zip(texts or ["word"] * count, pairwise(edges), strict=True)
    )
    return Decoded("text", start, end, words, temperature=0.0, window=number, **scores)


class Engine:
    """Says in each round what it is told to, and remembers what it was asked for."""

    def __init__(self, *rounds: Sequence[Decoded]) -> None:
        self.rounds = list(rounds)
        self.asked: list[list[Window]] = []

    def __call__(self, windows: Sequence[Window]) -> list[Decoded]:
        self.asked.append(list(windows))
        return list(self.rounds.pop(0)) if self.rounds else []


def test_the_engines_own_thresholds_suppress_both_together_or_repetition() -> None:
    assert suppression(said(0, 1), OPTIONS) is None
    assert suppression(said(0, 1, avg_logprob=-1.1), OPTIONS) is None
    assert suppression(said(0, 1, no_speech_prob=0.7), OPTIONS) is None
    assert suppression(said(0, 1, compression_ratio=2.5), OPTIONS) == REPEATS
    silent = said(0, 1, no_speech_prob=0.7, avg_logprob=-1.1)
    assert suppression(silent, OPTIONS) == SILENCE


def test_speech_between_two_words_is_found_and_pauses_in_it_do_not_count() -> None:
    (found,) = find_doubtful(window((0, 4), (5, 6), (8, 20)), [said(0, 3), said(9.5, 20)], OPTIONS)
    assert (found.window, found.reason, found.whole) == (window((3, 4), (5, 6), (8, 9.5)), NO_WORD, False)


def test_short_speech_without_a_word_is_let_be() -> None:
    assert find_doubtful(window((0, 10)), [said(0, 4), said(5.9, 10)], OPTIONS) == []


def test_a_word_that_takes_too_long_hides_no_speech() -> None:
    (found,) = find_doubtful(window((0, 10)), [said(0, 3), said(3, 7, "like"), said(7, 10)], OPTIONS)
    assert found.window == window((3.285, 6.715))
    assert find_doubtful(window((0, 5)), [said(0, 3), said(3, 5, "$39.90")], OPTIONS) == []
    assert find_doubtful(window((0, 5)), [said(0, 2), said(2, 2.8, "$39.90")], OPTIONS) == []


def test_a_window_of_low_confidence_is_decoded_again_as_a_whole_in_halves() -> None:
    first = [said(0, 20, **UNSURE_SCORES)]
    engine = Engine([said(0, 10), said(10, 20, number=1)])
    every, (done,) = decode_again(first, [window((0, 9.9), (10.1, 20))], engine, OPTIONS)
    assert engine.asked == [[window((0, 9.9)), window((10.1, 20))]]
    assert (done.reason, done.whole, done.first) == (UNSURE, True, tuple(first))
    assert [(s.start, s.suppressed) for s in every] == [(0, ""), (10, "")]


def test_what_cannot_be_halved_is_not_decoded_again() -> None:
    first = [said(0, 4, **UNSURE_SCORES)]
    engine = Engine()
    assert decode_again(first, [window((0, 4))], engine, OPTIONS) == (first, [])
    assert engine.asked == []


def test_what_was_skipped_is_put_between_what_was_heard() -> None:
    first = [said(0, 3), said(9, 12)]
    engine = Engine([said(3, 9)])
    every, (done,) = decode_again(first, [window((0, 12))], engine, OPTIONS)
    assert engine.asked == [[window((3, 9))]]
    assert [s.start for s in every] == [0, 3, 9]
    assert (done.first, done.second_wins) == ((), True)


def test_a_segment_is_split_where_something_was_skipped_inside_it() -> None:
    start, end = said(0, 3, *TALK[:6]), said(9, 12, *TALK[6:])
    engine = Engine([said(3, 9)])
    every, _ = decode_again(
        [replace(start, end=12, words=(*start.words, *end.words))], [window((0, 12))], engine, OPTIONS
    )
    assert [(s.start, s.end) for s in every] == [(0, 3), (3, 9), (9, 12)]
    assert [s.text for s in (every[0], every[2])] == [" ".join(TALK[:6]), " ".join(TALK[6:])]


def test_what_is_still_missing_is_looked_for_once_more_and_no_more() -> None:
    first = [said(0, 3)]
    engine = Engine([said(3, 6)], [said(6, 8)], [said(8, 10)])
    every, done = decode_again(first, [window((0, 12))], engine, OPTIONS)
    assert engine.asked == [[window((3, 12))], [window((6, 12))]]
    assert (len(every), len(done)) == (3, ROUNDS)


def test_where_nothing_was_heard_nothing_is_looked_for_again() -> None:
    engine = Engine([])
    decode_again([said(0, 3)], [window((0, 12))], engine, OPTIONS)
    assert len(engine.asked) == 1


def test_words_of_low_confidence_stay_where_there_is_speech_and_nothing_else_was_heard() -> None:
    for log_prob, why in ((-0.9, ""), (-1.1, INVENTED)):
        engine = Engine([said(3, 9, avg_logprob=log_prob)])
        every, _ = decode_again([said(0, 3)], [window((0, 9))], engine, OPTIONS)
        assert [s.suppressed for s in every] == ["", why]


TALK = ["the", "budget", "for", "this", "year", "is", "a", "little", "higher", "than", "last", "time"]
OTHER = ["a", "bucket", "of", "fish", "and", "chips", "with", "some", "vinegar", "on", "it", "please"]


def decoded_twice(second: Sequence[str], log_prob: float) -> list[Decoded]:
    first = [said(0, 12, *TALK, avg_logprob=log_prob)]
    engine = Engine([said(0, 12, *second, avg_logprob=log_prob)])
    every, (done,) = decode_again(first, [window((0, 5.9), (6.1, 12))], engine, OPTIONS)
    assert len(done.second) == 1
    return every


def test_more_is_asked_of_words_within_a_window_of_low_confidence() -> None:
    first = [said(0, 20, **UNSURE_SCORES)]
    halves = [said(0, 4), said(12, 20, number=1)]
    for log_prob, why in ((-0.7, ""), (-0.9, INVENTED)):
        engine = Engine(halves, [said(5, 11, avg_logprob=log_prob)])
        every, done = decode_again(first, [window((0, 9.9), (10.1, 20))], engine, OPTIONS)
        assert [part.within for part in done] == [False, True]
        assert next(s.suppressed for s in every if s.start == 5) == why


def test_what_two_decodings_agree_on_stays_however_unsure() -> None:
    almost = ["a", *TALK[1:]]
    assert [s.suppressed for s in decoded_twice(almost, -0.9)] == [""]


def test_where_two_decodings_hear_different_things_it_is_taken_for_invented() -> None:
    half = [*OTHER[: len(TALK) // 2], *TALK[len(TALK) // 2 :]]  # reversed speech shared so much by chance
    for second in (OTHER, half):
        assert [s.suppressed for s in decoded_twice(second, -0.9)] == [INVENTED]


def test_speech_in_noise_need_not_be_confirmed() -> None:
    assert [s.suppressed for s in decoded_twice(OTHER, -0.7)] == [""]


def test_a_sure_version_needs_no_confirmation() -> None:
    first = [said(0, 12, *OTHER, **UNSURE_SCORES)]
    every, _ = decode_again(first, [window((0, 5.9), (6.1, 12))], Engine([said(0, 12, *TALK)]), OPTIONS)
    assert [s.suppressed for s in every] == [""]


def test_a_few_words_are_no_evidence() -> None:
    first = [said(0, 12, "yes", "so", **UNSURE_SCORES)]
    engine = Engine([said(0, 12, "well", **UNSURE_SCORES)])
    every, _ = decode_again(first, [window((0, 5.9), (6.1, 12))], engine, OPTIONS)
    assert [s.suppressed for s in every] == [""]


def test_agreement_is_the_share_of_words_in_common_at_the_same_time() -> None:
    assert agreement(said(0, 12, *TALK), [said(0, 12, *TALK)]) == 1
    assert agreement(said(0, 12, *TALK), [said(0, 12, *(word.upper() for word in TALK))]) == 1
    assert agreement(said(0, 12, *TALK), [said(30, 42, *TALK)]) == 0
    assert agreement(said(0, 12, *TALK), []) == 0
    assert agreement(said(0, 6, *TALK[:6]), [said(0, 12, *TALK)]) > 0.8


def test_more_speech_covered_scores_higher_and_so_does_confidence() -> None:
    speech = window((0, 10))
    all_of_it = score([said(0, 10)], speech, OPTIONS)
    assert all_of_it > score([said(0, 7)], speech, OPTIONS)
    assert all_of_it > score([said(0, 10, avg_logprob=-0.3)], speech, OPTIONS)
    assert score([said(11, 20)], speech, OPTIONS) == 0
    assert score([said(0, 10, compression_ratio=3.0)], speech, OPTIONS) == 0
    assert score([replace(said(0, 10), suppressed="invented")], speech, OPTIONS) == 0


NAMES = ["Ireena,", "Strahd,", "Barovia,", "Vallaki,", "Krezk,", "Ismark"]
PROMPTED = OPTIONS.model_copy(update={"hotwords": " ".join(NAMES)})


def test_what_repeats_the_prompt_gives_way_to_what_is_heard_without_it() -> None:
    first = [said(0, 12, "and", *NAMES)]
    every, (again,) = decode_again(first, [window((0, 12))], Engine([said(0, 12, *TALK)]), PROMPTED)
    assert again.reason == ECHO
    assert [(s.suppressed, len(s.words)) for s in every] == [("", len(TALK))]
    every, _ = decode_again(first, [window((0, 12))], Engine([]), PROMPTED)
    assert [(s.suppressed, len(s.words)) for s in every] == [(ECHO, len(NAMES) + 1)]


def test_who_says_the_words_of_the_prompt_is_heard_without_it_too() -> None:
    first = [said(0, 12, *NAMES)]
    engine = Engine([said(0, 12, *NAMES, avg_logprob=-0.6)])
    every, _ = decode_again(first, [window((0, 12))], engine, PROMPTED)
    assert [(s.suppressed, len(s.words)) for s in every] == [("", len(NAMES))]


def marked(every: int) -> list[str]:
    return [f"{word}," if number % every == 0 else word for number, word in enumerate(TALK * 2)]


def test_a_prompt_that_takes_punctuation_away_or_adds_it_is_done_without() -> None:
    for texts, second, wins in (
        (TALK * 2, marked(6), True),
        (marked(1), marked(6), True),
        (TALK * 2, TALK * 2, False),
        (marked(2), marked(2), False),
    ):
        engine = Engine([said(0, 12, *second, avg_logprob=-0.4)])
        _, (again,) = decode_again([said(0, 12, *texts)], [window((0, 12))], engine, PROMPTED)
        assert (again.reason, again.second_wins) == (MISLED, wins)
    for texts, options in ((TALK, PROMPTED), (marked(6), PROMPTED), (TALK * 2, OPTIONS)):
        assert find_doubtful(window((0, 12)), [said(0, 12, *texts)], options) == []


def test_a_few_words_of_the_prompt_are_no_echo() -> None:
    first = [said(0, 12, *TALK, *NAMES[:4])]
    assert decode_again(first, [window((0, 12))], Engine(), PROMPTED) == (first, [])


def test_a_short_window_is_decoded_again_where_the_prompt_may_have_misled() -> None:
    first = [said(0, 4, **UNSURE_SCORES)]
    for options, asked in ((OPTIONS, []), (PROMPTED, [[window((0, 4))]])):
        engine = Engine([said(0, 4)])
        decode_again(first, [window((0, 4))], engine, options)
        assert engine.asked == asked


SEGMENTS = st.lists(
    st.tuples(st.floats(0, 15), st.floats(0, 5), st.floats(-2, 0), st.integers(0, 1)), max_size=4
).map(lambda found: [said(a, a + b, avg_logprob=c, number=n) for a, b, c, n in found])


@given(first=SEGMENTS, second=SEGMENTS)
def test_nothing_vanishes_and_the_better_version_stays(first: list[Decoded], second: list[Decoded]) -> None:
    windows = [window((0, 8), (9, 20)), window((21, 29), (30, 40))]
    every, done = decode_again(first, windows, Engine(second), OPTIONS)
    starts = [s.start for s in every]
    lost = [s for part in done for s in (part.first if part.second_wins else part.second)]
    heard = [(s.start, s.end) for s in every] + [(s.start, s.end) for s in lost]
    assert all((s.start, s.end) in heard for s in first)
    assert sum(map(len, ([*every], [*lost]))) >= len(first)
    for part in done:
        assert part.second_wins == (part.scores[1] > part.scores[0])
    for number in (0, 1):
        own = [s.start for s in every if s in first and s.window == number]
        assert own == sorted(own)
    assert len(starts) == len(every)
