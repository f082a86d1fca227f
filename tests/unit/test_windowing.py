"""Windows: all speech is heard once, in few windows that end in pauses, wherever the track is cut."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionscribe.artifacts import SAMPLE_RATE, Core, CutKind, Span
from sessionscribe.windowing import BREAK, PAUSE_S, Window, chunk_windows, decoding_windows, inside

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


def length(window: Window, *, batched: bool) -> int:
    return sum(p.stop - p.start for p in window) if batched else window[-1].stop - window[0].start


def spans(*edges: tuple[float, float]) -> list[Span]:
    return [Span(start=round(a * SECOND), stop=round(b * SECOND)) for a, b in edges]


@given(speech=speeches(), longest=st.integers(2 * SECOND, 30 * SECOND), batched=st.booleans())
def test_windows_hold_all_speech_once_and_none_is_too_long(
    speech: list[Span], longest: int, batched: bool
) -> None:
    windows = decoding_windows(speech, longest=longest, batched=batched)
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
        alone = not batched and len(window) == 1
        assert alone or length(window, batched=batched) <= longest


@given(speech=speeches(most=7, longest=6 * SECOND), batched=st.booleans())
def test_no_other_windows_cost_less(speech: list[Span], batched: bool) -> None:
    longest = 8 * SECOND

    def cost(windows: list[Window]) -> float:
        pauses = [(b[0].start - a[-1].stop) / SECOND for a, b in pairwise(windows)]
        return len(windows) + sum(BREAK * 2.718281828459045 ** (-pause / PAUSE_S) for pause in pauses)

    found = decoding_windows(speech, longest=longest, batched=batched)
    for count in range(len(speech)):
        for breaks in combinations(range(1, len(speech)), count):
            edges = [0, *breaks, len(speech)]
            other = [tuple(speech[a:b]) for a, b in pairwise(edges)]
            if all(length(window, batched=batched) <= longest for window in other):
                assert cost(found) <= cost(other) + 1e-9


def test_a_window_ends_in_the_long_pause_not_where_it_is_full() -> None:
    speech = spans((0, 3), (3.2, 5), (6, 9), (9.2, 11))
    assert decoding_windows(speech, longest=8 * SECOND, batched=True) == [
        (speech[0], speech[1]),
        (speech[2], speech[3]),
    ]


def test_a_long_stretch_is_cut_evenly_only_for_batched_decoding() -> None:
    speech = spans((5, 25))
    batched = decoding_windows(speech, longest=8 * SECOND, batched=True)
    assert [length(window, batched=True) for window in batched] == [106_666, 106_667, 106_667]
    assert decoding_windows(speech, longest=8 * SECOND, batched=False) == [(speech[0],)]


@pytest.mark.parametrize("kinds", [("silence", "silence"), ("forced", "silence"), ("silence", "forced")])
def test_at_a_silence_windows_end_with_the_core_at_a_forced_cut_with_the_context(
    kinds: tuple[CutKind, CutKind],
) -> None:
    speech = spans((0, 9.9), (10.2, 19.8), (20.1, 30))
    core = Core(
        index=1,
        start=10 * SECOND,
        stop=20 * SECOND,
        context_start=8 * SECOND,
        context_stop=22 * SECOND,
        start_cut=kinds[0],
        stop_cut=kinds[1],
    )
    heard = [
        piece for window in chunk_windows(speech, core, longest=30 * SECOND, batched=True) for piece in window
    ]
    expected = [(2.2, 11.8)]  # from the start of the context
    if kinds[0] == "forced":
        expected = [(0, 1.9), *expected]
    if kinds[1] == "forced":
        expected = [*expected, (12.1, 14)]
    assert heard == spans(*expected)


@given(speech=speeches(), batched=st.booleans(), data=st.data())
def test_chunks_hear_the_windows_of_the_whole_track_each_once(
    speech: list[Span], batched: bool, data: st.DataObject
) -> None:
    """Cuts in silence only part the windows that they lie in."""
    if not speech:
        return
    samples, longest = speech[-1].stop + SECOND, 8 * SECOND
    middles = [(a.stop + b.start) // 2 for a, b in pairwise(speech)]
    cuts = sorted(data.draw(st.sets(st.sampled_from(middles or [samples]), max_size=4)))
    edges = [0, *cuts, samples]
    found: list[Window] = []
    for index, (start, stop) in enumerate(pairwise(edges)):
        core = Core(
            index=index,
            start=start,
            stop=stop,
            context_start=max(0, start - SECOND),
            context_stop=min(samples, stop + SECOND),
            start_cut="silence" if index else "edge",
            stop_cut="silence" if stop < samples else "edge",
        )
        for window in chunk_windows(speech, core, longest=longest, batched=batched):
            shift = core.context_start
            found.append(tuple(Span(start=p.start + shift, stop=p.stop + shift) for p in window))
    whole = decoding_windows(speech, longest=longest, batched=batched)
    assert [piece for window in found for piece in window] == [piece for window in whole for piece in window]
    parted = {window for window in whole if any(window[0].start < cut < window[-1].stop for cut in cuts)}
    assert set(whole) - set(found) <= parted


@given(speech=speeches(), start=st.integers(0, 10**6), size=st.integers(1, 10**6))
def test_speech_inside_a_part_counts_from_its_start(speech: list[Span], start: int, size: int) -> None:
    part = Span(start=start, stop=start + size)
    found = inside(speech, part)
    heard = {s for span in speech for s in (span.start, span.stop) if start < s < part.stop}
    edges = {edge + start for span in found for edge in (span.start, span.stop)}
    assert heard <= edges <= heard | {start, part.stop}
    assert all(0 <= span.start < span.stop <= size for span in found)
