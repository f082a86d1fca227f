"""Windows: all speech is heard once, in few windows that end in pauses, wherever the track is cut."""

from __future__ import annotations

from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st

import builders
from sessionscribe.artifacts.plan import CutKind, Span
from sessionscribe.config.settings import Transcribe
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.stages.transcribe.windows import (
    BREAK,
    PAUSE_S,
    WHOLE,
    Window,
    chunk_windows,
    decoding_windows,
    span_of,
)

SECOND = SAMPLE_RATE


@st.composite
def speeches(draw: st.DrawFn, most: int = 30, longest: int = 12 * SECOND) -> list[Span]:
    """Stretches of speech, in order and apart."""
    found, at = [], draw(st.integers(0, 3 * SECOND))
    for _ in range(draw(st.integers(0, most))):
        stop = at + draw(st.integers(1, longest))
        found.append(Span(start=at, stop=stop))
        at = stop + draw(st.integers(1, 3 * SECOND))
    return found


def length(window: Window) -> int:
    return sum(p.stop - p.start for p in window)


def spans(*edges: tuple[float, float]) -> list[Span]:
    return [Span(start=round(a * SECOND), stop=round(b * SECOND)) for a, b in edges]


def seconds(of: list[Span]) -> list[tuple[float, float]]:
    return [(span.start / SECOND, span.stop / SECOND) for span in of]


@given(speech=speeches(), longest=st.integers(2 * SECOND, 30 * SECOND))
def test_windows_hold_all_speech_once_and_none_is_too_long(speech: list[Span], longest: int) -> None:
    windows = decoding_windows(speech, longest=longest)
    pieces = [piece for window in windows for piece in window]
    assert all(one.stop <= other.start for one, other in pairwise(pieces))
    joined: list[Span] = []
    for piece in pieces:  # a stretch that was too long is in parts
        if joined and joined[-1].stop == piece.start:
            joined[-1] = Span(start=joined[-1].start, stop=piece.stop)
        else:
            joined.append(piece)
    assert joined == speech
    for window in windows:
        assert length(window) <= longest


@given(speech=speeches(most=7, longest=6 * SECOND))
def test_no_other_windows_cost_less(speech: list[Span]) -> None:
    longest = 8 * SECOND

    def cost(windows: list[Window]) -> float:
        pauses = [(b[0].start - a[-1].stop) / SECOND for a, b in pairwise(windows)]
        return len(windows) + sum(BREAK * 2.718281828459045 ** (-pause / PAUSE_S) for pause in pauses)

    found = decoding_windows(speech, longest=longest)
    for count in range(len(speech)):
        for breaks in combinations(range(1, len(speech)), count):
            edges = [0, *breaks, len(speech)]
            other = [tuple(speech[a:b]) for a, b in pairwise(edges)]
            if all(length(window) <= longest for window in other):
                assert cost(found) <= cost(other) + 1e-9


def test_a_window_ends_in_the_long_pause_not_where_it_is_full() -> None:
    speech = spans((0, 3), (3.2, 5), (6, 9), (9.2, 11))
    assert decoding_windows(speech, longest=8 * SECOND) == [
        (speech[0], speech[1]),
        (speech[2], speech[3]),
    ]


def test_a_long_stretch_is_cut_evenly() -> None:
    speech = spans((5, 25))
    found = decoding_windows(speech, longest=8 * SECOND)
    assert [length(window) for window in found] == [106_666, 106_667, 106_667]


def test_a_window_at_a_forced_cut_is_left_to_the_chunk_that_has_its_middle() -> None:
    speech = [(0, 4), (4.2, 9), (9.5, 14), (14.1, 20), (30, 36)]
    cut = builders.plan(40, [(5, "forced"), (15, "forced"), (25, "silence")], speech=speech)
    found = [chunk_windows(cut, index, Transcribe(window_s=6)) for index in range(4)]
    assert [[(w[0].start / SECOND, w[-1].stop / SECOND) for w in windows] for windows in found] == [
        [(0, 4)],
        [(4.2, 9), (9.5, 14)],
        [(14.1, 20)],
        [(30, 36)],
    ]


KINDS: list[CutKind] = ["silence", "forced"]


@given(speech=speeches(), forced=st.booleans(), data=st.data())
def test_chunks_hear_the_windows_of_the_whole_track_each_once(
    speech: list[Span], forced: bool, data: st.DataObject
) -> None:
    """Cuts in silence part windows with long pauses; forced ones part none."""
    if not speech:
        return
    samples, longest, options = speech[-1].stop + SECOND, 8 * SECOND, Transcribe(window_s=8)
    places: dict[int, CutKind] = dict.fromkeys(
        ((a.stop + b.start) // 2 for a, b in pairwise(speech)), "silence"
    )
    if forced:
        places |= dict.fromkeys(((span.start + span.stop) // 2 for span in speech), "forced")
    chosen = sorted(data.draw(st.sets(st.sampled_from(sorted(places) or [samples]), max_size=6)))
    cut = builders.plan(
        samples / SECOND, [(at / SECOND, places[at]) for at in chosen if at in places], speech=seconds(speech)
    )
    found = [window for core in cut.cores for window in chunk_windows(cut, core.index, options)]
    whole = decoding_windows(cut.speech, longest=longest)
    assert [piece for window in found for piece in window] == [piece for window in whole for piece in window]
    spans_heard = [
        span_of(windows, core) for core in cut.cores if (windows := chunk_windows(cut, core.index, options))
    ]
    assert all(one.stop <= other.start for one, other in pairwise(spans_heard)), "nothing is heard twice"
    silences = [core.stop for core in cut.cores if core.stop_cut == "silence"]
    parted = {
        window
        for window in whole
        if any(window[0].start < at < window[-1].stop for at in silences)
        and window[-1].stop - window[0].start > WHOLE * longest
    }
    assert set(whole) - set(found) <= parted
