"""The grid of windows and the stretches of sessions, which the manifest alone decides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import builders
from sessionscribe.audio.sliding_window import (
    REACH_S,
    EmbeddingChunk,
    Part,
    SlidingWindow,
    of_live,
    of_recording,
)
from sessionscribe.core.errors import UserError

GRID = SlidingWindow(window=160_000, step=16_000)


@pytest.mark.parametrize(
    ("samples", "windows"),
    [(0, 0), (1, 1), (159_999, 1), (160_000, 1), (160_001, 2), (176_000, 2), (176_001, 3), (480_000, 21)],
)
def test_windows_are_counted_as_pyannote_lays_them(samples: int, windows: int) -> None:
    """As many as fit, and one more for what is left at the end."""
    assert GRID.count(samples) == windows


grids = st.builds(SlidingWindow, window=st.integers(1, 400), step=st.integers(1, 400)).filter(
    lambda grid: grid.step <= grid.window
)


@given(grid=grids, samples=st.integers(0, 3000), cuts=st.lists(st.integers(0, 4000), max_size=6))
def test_stretches_have_every_window_once_wherever_they_are_cut(
    grid: SlidingWindow, samples: int, cuts: list[int]
) -> None:
    edges = [0, *sorted(cuts)]
    found = [
        grid.starting_in(start, stop, samples) for start, stop in zip(edges, [*edges[1:], None], strict=True)
    ]
    assert [window for windows in found for window in windows] == list(range(grid.count(samples)))
    for windows in found:
        start, stop = grid.span(windows, samples)
        assert SlidingWindow(grid.window, grid.step).count(stop - start) == len(windows)
        assert stop <= samples


@given(grid=grids, samples=st.integers(1, 3000))
def test_every_sample_is_in_a_window(grid: SlidingWindow, samples: int) -> None:
    windows = range(grid.count(samples))
    assert windows[-1] * grid.step + grid.window >= samples
    assert windows[-1] * grid.step < samples


def test_a_recording_is_cut_by_its_duration() -> None:
    assert of_recording("main", 95.0, 600.0) == [EmbeddingChunk("0000", 0, None, ("main",))]
    assert of_recording("main", 100.0, 30.0) == [
        EmbeddingChunk("0000", 0, 480_000, ("main",)),
        EmbeddingChunk("0001", 480_000, 960_000, ("main",)),
        EmbeddingChunk("0002", 960_000, None, ("main",)),
    ]


def parts(*lengths: float, skip: tuple[int, ...] = (), first: int = 0) -> list[Part]:
    numbers = [n for n in range(first, first + len(lengths) + len(skip)) if n not in skip]
    return [Part(f"chunk-{n}", n, length, f"key{n}") for n, length in zip(numbers, lengths, strict=True)]


def test_a_live_session_is_cut_between_parts_and_ends_lie_where_the_timeline_says() -> None:
    found = of_live(parts(40, 40, 40, 40, 10), chunk_s=60)
    assert [(s.start, s.stop, s.tracks) for s in found] == [
        (0, "chunk-2", ("chunk-0", "chunk-1", "chunk-2")),
        ("chunk-2", "chunk-4", ("chunk-2", "chunk-3", "chunk-4")),
        ("chunk-4", None, ("chunk-4",)),
    ]
    plans = [builders.plan(40, track=f"chunk-{n}") for n in range(5)]
    timeline = builders.timeline(*plans, layout="live", offsets=[1, 41, 81, 121, 161])
    assert [s.within(timeline) for s in found] == [(0, 1_296_000), (1_296_000, 2_576_000), (2_576_000, None)]
    short = builders.timeline(*plans[:3], layout="live", offsets=[1, 41, 81])
    with pytest.raises(UserError, match="has no track chunk-4"):
        found[1].within(short)


@given(lengths=st.lists(st.sampled_from([5.0, 20.0, 31.0, 70.0]), min_size=1, max_size=30))
def test_a_part_that_is_added_leaves_what_it_cannot_reach(lengths: list[float]) -> None:
    before, after = of_live(parts(*lengths), 60), of_live(parts(*lengths, 20.0), 60)
    left = 0.0
    for old in reversed(before):
        if left >= REACH_S:
            assert old in after
        else:
            assert old.name not in [new.name for new in after]
        left += sum(
            length
            for n, length in enumerate(lengths)
            if f"chunk-{n}" in old.tracks and _begins(old) <= n < _ends(old, len(lengths))
        )


def _begins(stretch: EmbeddingChunk) -> int:
    return 0 if stretch.start == 0 else int(str(stretch.start).removeprefix("chunk-"))


def _ends(stretch: EmbeddingChunk, count: int) -> int:
    return count if stretch.stop is None else int(str(stretch.stop).removeprefix("chunk-"))


def test_another_part_before_it_changes_a_stretch_but_not_one_behind_it() -> None:
    given = parts(40, 40, 40, 40)
    names = [s.name for s in of_live(given, chunk_s=40)]
    other = [*given[:2], Part("chunk-2", 2, 40, "another"), given[3]]
    changed = [s.name for s in of_live(other, chunk_s=40)]
    assert [a == b for a, b in zip(names, changed, strict=True)] == [True, False, False, False]
    assert [s.name for s in of_live(given[::-1], chunk_s=40)] == names


@pytest.mark.parametrize("first", [0, 1, 2, 412])
def test_whatever_the_first_number_a_part_that_is_added_leaves_the_earlier_ones(
    first: int,
) -> None:
    before = [s.name for s in of_live(parts(40, 40, 40, 40, first=first), 40)]
    after = [s.name for s in of_live(parts(40, 40, 40, 40, 40, first=first), 40)]
    assert after[:3] == before[:3]


def test_stretches_that_begin_elsewhere_have_other_names() -> None:
    """Lengths that are counted anew differ by a little: forty of 15 s are ten minutes, of 14.998 s less."""
    before, after = (of_live(parts(*[length] * 60), 600) for length in (15.0, 14.998))
    assert [s.start for s in before] == [0, "chunk-40"]
    assert [s.start for s in after] == [0, "chunk-41"]
    assert not {s.name for s in before} & {s.name for s in after}


def test_behind_a_gap_a_stretch_depends_on_all_parts() -> None:
    """What is missing is as long as the parts usually are, and every part has a say in that."""
    with_gap = parts(40, 40, 40, 40, 40, 40, skip=(4,))
    names = [s.name for s in of_live(with_gap, 40)]
    grown = [s.name for s in of_live([*with_gap, Part("chunk-7", 7, 40, "key7")], 40)]
    assert [name in grown for name in names] == [True, True, True, False, False, False]
