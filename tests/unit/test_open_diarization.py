"""The clustering of the open pipeline, on embeddings as noisy as its own; and the pauses that it fills."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pyannote.core import Segment, SlidingWindow, SlidingWindowFeature

from sessionscribe.engines.open_diarization import MeansClustering, OpenDiarization

DIMENSION = 256


def heard(counts: list[int], apart: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return noisy unit embeddings of people whose voices are so far apart, and whose each is."""
    rng = np.random.default_rng(0)
    means = np.eye(len(counts), DIMENSION) * apart / np.sqrt(2)
    means[:, -1] = np.sqrt(1 - apart**2 / 2)
    who = np.repeat(np.arange(len(counts)), counts)
    noisy = means[who] + rng.normal(0, 0.45 / np.sqrt(DIMENSION), (len(who), DIMENSION))
    return noisy / np.linalg.norm(noisy, axis=1, keepdims=True), who


def clustered(embeddings: NDArray[np.float64], **bounds: int) -> NDArray[np.int64]:
    clustering = MeansClustering()
    clustering.instantiate({"threshold": 0.42, "min_cluster_size": 5})
    given = {"min_clusters": 1, "max_clusters": len(embeddings)} | bounds
    return clustering.cluster(embeddings, **given)


@pytest.mark.parametrize("counts", [[1], [40], [800], [60, 60], [200, 8, 30], [20, 20, 20, 20, 20]])
def test_people_are_told_apart_however_long_they_speak(counts: list[int]) -> None:
    embeddings, who = heard(counts, 0.75)
    found = clustered(embeddings)
    assert len(set(found)) == len(set(zip(found, who, strict=True))) == len(counts)


def test_who_says_little_is_no_speaker_of_their_own() -> None:
    embeddings, who = heard([60, 3, 40], 0.75)
    assert len(set(clustered(embeddings)[who != 1])) == len(set(clustered(embeddings))) == 2


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_known_number_is_kept_to(count: int) -> None:
    embeddings, _ = heard([40, 40, 40], 0.75)
    assert len(set(clustered(embeddings, min_clusters=count, max_clusters=count))) == count


def test_pauses_are_filled_where_nobody_else_speaks() -> None:
    active = np.zeros((100, 2), np.int8)
    active[0:20, 0] = active[25:40, 0] = active[42:50, 0] = active[60:70, 0] = 1
    active[40:42, 1] = active[72:80, 1] = 1
    frames = SlidingWindowFeature(active, SlidingWindow(start=0, duration=0.1, step=0.1))
    turns = OpenDiarization.to_annotation(OpenDiarization.__new__(OpenDiarization), frames, 0.0, 0.5)
    ends = {
        label: [(round(s.start, 1), round(s.end, 1)) for s in turns.label_timeline(label)] for label in (0, 1)
    }
    assert len(ends[0]) == 3, (
        ends
    )  # 0 to 4.0, with a pause filled; 4.2 to 5.0; 6.0 to 7.0, after too long a one
    assert len(ends[1]) == 2
    assert not turns.get_overlap()
    assert turns.get_timeline().crop(Segment(2.1, 2.4)).duration() == pytest.approx(0.3)
