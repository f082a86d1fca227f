"""The file between the two halves of diarization: whole, checked, the same bytes for the same content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sessionscribe.artifacts.speakers import EmbeddingsHeader
from sessionscribe.core.errors import UserError
from sessionscribe.stages.diarize.embeddings import Embeddings, united

ABOUT = EmbeddingsHeader(
    session="s",
    first=0,
    windows=4,
    window=160_000,
    step=16_000,
    frame_start=0.0,
    frame_duration=0.0619375,
    frame_step=0.016875,
    powerset=True,
    model="demo",
)


def part(first: int = 0, windows: int = 4, **changed: object) -> Embeddings:
    draw = np.random.default_rng(first)
    segmentations = draw.integers(0, 2, (windows, 20, 3)).astype(np.float32)
    embeddings = draw.normal(size=(windows, 3, 8)).astype(np.float32)
    if windows:
        embeddings[0, 1] = np.nan
    about = ABOUT.model_copy(update={"first": first, "windows": windows, **changed})
    return Embeddings(about, segmentations, embeddings)


def test_it_comes_back_as_it_was_and_numpy_reads_it(tmp_path: Path) -> None:
    path, given = tmp_path / "0000.npz", part()
    given.write(path)
    found = Embeddings.read(path)
    assert found.about == given.about
    np.testing.assert_array_equal(found.segmentations, given.segmentations)
    np.testing.assert_array_equal(found.embeddings, given.embeddings)
    with np.load(path, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["embeddings"], given.embeddings)
        assert EmbeddingsHeader.model_validate_json(arrays["about"].tobytes()) == given.about


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    part().write(tmp_path / "a.npz")
    part().write(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


@pytest.mark.parametrize("kept", [0, 1, 21, 22, 300, -1], ids=lambda kept: f"{kept} bytes")
def test_a_cut_file_is_noticed(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "0000.npz"
    part().write(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    with pytest.raises(UserError, match=r"cannot be read .* Delete the file and run again"):
        Embeddings.read(path)


@pytest.mark.parametrize("place", ["segmentations", "embeddings", "about"])
def test_a_flipped_bit_is_noticed(tmp_path: Path, place: str) -> None:
    path = tmp_path / "0000.npz"
    part().write(path)
    data = bytearray(path.read_bytes())
    data[data.index(f"{place}.npy".encode()) + 180] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match="cannot be read"):
        Embeddings.read(path)


@pytest.mark.parametrize(("field", "bit"), [(8, 0), (10, 7)], ids=["encrypted", "compression"])
def test_a_damaged_directory_is_noticed(tmp_path: Path, field: int, bit: int) -> None:
    path = tmp_path / "0000.npz"
    part().write(path)
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\1\2") + field] ^= 1 << bit
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"cannot be read .* Delete the file and run again"):
        Embeddings.read(path)


def test_a_missing_file_and_one_of_another_kind_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        Embeddings.read(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", about=np.zeros(3))
    with pytest.raises(UserError, match="cannot be read"):
        Embeddings.read(tmp_path / "other.npz")
    part(schema_version=2).write(tmp_path / "newer.npz")
    with pytest.raises(UserError, match="schema_version: Input should be 1"):
        Embeddings.read(tmp_path / "newer.npz")
    part(windows=3, first=0).write(tmp_path / "a.npz")
    wrong = Embeddings(ABOUT, part().segmentations[:3], part().embeddings)
    wrong.write(tmp_path / "b.npz")
    with pytest.raises(UserError, match="its arrays do not match its header"):
        Embeddings.read(tmp_path / "b.npz")


def test_stretches_are_put_together_in_order() -> None:
    parts = [part(0), part(4, 0), part(4, 2), part(6, 5)]
    paths = [Path(f"{n}.npz") for n in range(4)]
    samples = 160_000 + 9 * 16_000 + 5  # eleven windows
    whole = united(list(zip(paths, parts, strict=True)), samples)
    assert whole is not None
    assert (whole.about.first, whole.about.windows) == (0, 11)
    np.testing.assert_array_equal(whole.embeddings[4:6], parts[2].embeddings)
    assert united([(paths[0], part(0, 0))], 0) is None
    with pytest.raises(UserError, match=r"3\.npz: does not continue where"):
        united([(paths[0], parts[0]), (paths[3], parts[3])], samples)
    with pytest.raises(UserError, match="does not continue where"):
        united([(paths[0], parts[0]), (paths[2], part(4, 2, model="another"))], samples)
    with pytest.raises(UserError, match="ends with window 6 of 11"):
        united([(paths[0], parts[0]), (paths[2], parts[2])], samples)
