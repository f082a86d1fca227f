"""A track in slices is the track: whatever stretch is read, the samples are the same."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionscribe.audio.flac import blocks, read_samples
from sessionscribe.audio.slices import SLICE, cut_slices, slice_names
from sessionscribe.core.errors import UserError
from sessionscribe.core.units import SAMPLE_RATE

TOTAL = 3 * SLICE + 1234


@pytest.fixture(scope="module")
def track(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("track") / "mix.flac"
    samples = np.random.default_rng(7).integers(-3000, 3000, TOTAL).astype("int16")
    soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def sliced(track: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sliced") / "mix.flac"
    cut_slices(track, slice_names([(0, TOTAL)], TOTAL), folder)
    return folder


@settings(max_examples=30, deadline=None)
@given(st.tuples(st.integers(0, TOTAL), st.integers(0, TOTAL)).map(sorted))
def test_every_stretch_is_the_same(track: Path, sliced: Path, stretch: list[int]) -> None:
    np.testing.assert_array_equal(read_samples(sliced, *stretch), read_samples(track, *stretch))


def test_the_whole_track_in_blocks(track: Path, sliced: Path) -> None:
    for whole, part in zip(blocks(track, 70_000), blocks(sliced, 70_000), strict=True):
        np.testing.assert_array_equal(whole, part)


@given(st.lists(st.tuples(st.integers(0, TOTAL), st.integers(0, TOTAL)), max_size=4))
def test_slices_cover_what_is_wanted_and_no_more(windows: list[tuple[int, int]]) -> None:
    names = slice_names(windows, TOTAL)
    assert names == sorted(set(names))
    held = [tuple(map(int, name.split("-")[:2])) for name in names]
    for start, stop in windows:
        for sample in {start, (start + stop) // 2, stop - 1} if start < stop else set():
            assert any(first <= sample < last for first, last in held)
    for first, last in held:
        assert any(start < min(stop, last) and first < stop and start < last for start, stop in windows)


def test_a_slice_that_nobody_asked_for_is_missed_by_name(track: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mix.flac"
    cut_slices(track, slice_names([(0, 10)], TOTAL), folder)
    assert len(read_samples(folder, 0, SLICE)) == SLICE
    with pytest.raises(UserError, match="has no slice at 10 s"):
        read_samples(folder, SLICE - 5, SLICE + 5)


def test_equal_slices_look_equal(track: Path, tmp_path: Path) -> None:
    os.utime(track, ns=(10**18, 10**18 + 5))
    found = []
    for name in ("one", "two"):
        cut_slices(track, slice_names([(0, 10)], TOTAL), tmp_path / name)
        (path,) = (tmp_path / name).iterdir()
        found.append((path.name, path.read_bytes(), path.stat().st_mtime_ns))
    assert found[0] == found[1]
