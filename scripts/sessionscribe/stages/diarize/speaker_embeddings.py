"""How speakers sound: one embedding each, from what the models found in the windows of a session.

A voice is the mean of the embeddings of all windows in which somebody is heard, each as a unit vector and
weighted by how long that person is the only one who talks there. No audio is read for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sessionscribe.artifacts.speakers import Turn, Voice
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.stages.diarize.embeddings import Embeddings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ACTIVE = 0.5  # of a score; decisions are 0 or 1
DIGITS = 6


def voices(found: Embeddings, turns: Sequence[Turn]) -> list[Voice]:
    """Return the voice of each speaker of ``turns`` who is ever heard alone, in the order of labels.

    Whose voice a window's local speaker has is decided by the turns: the speaker who talks most while that
    local speaker is the only one.

    Args:
        found: the windows of the session from its beginning on.
        turns: who speaks when, in seconds of the session.
    """
    import numpy as np  # noqa: PLC0415 -- heavy

    labels = sorted({turn.speaker for turn in turns})
    if not labels or not found.about.windows:
        return []
    active = found.segmentations > ACTIVE
    alone = active & (active.sum(axis=2, keepdims=True) == 1)  # windows, frames, local speakers
    heard = _speaker_of(_centres(found), turns, labels)
    weights = np.zeros((len(labels), *alone.shape[::2]))  # speakers, windows, local speakers
    for index in range(len(labels)):
        weights[index] = np.einsum("wfs,wf->ws", alone, heard == index, dtype=np.float64)
    weights *= weights == weights.max(axis=0)
    lengths = np.linalg.norm(found.embeddings, axis=2, keepdims=True)
    usable = np.isfinite(lengths) & (lengths > 0)
    units = np.where(usable, found.embeddings / np.where(usable, lengths, 1), 0)
    weights *= usable[None, ..., 0]
    sums = np.einsum("kws,wsd->kd", weights, units)
    alone_s = _time_alone(turns)
    return [
        Voice(
            speaker=label,
            speech_s=round(alone_s[label], 3),
            embedding=(total / length).round(DIGITS).tolist(),
        )
        for label, total, length in zip(labels, sums, np.linalg.norm(sums, axis=1), strict=True)
        if alone_s.get(label) and length > 0
    ]


def _centres(found: Embeddings) -> NDArray[np.float64]:
    """Return the middle of each frame of each window in seconds of the session, ``[windows, frames]``."""
    import numpy as np  # noqa: PLC0415 -- heavy

    about, frames = found.about, found.segmentations.shape[1]
    windows = (about.first + np.arange(about.windows)) * about.step / SAMPLE_RATE
    inside = about.frame_start + about.frame_duration / 2 + np.arange(frames) * about.frame_step
    times: NDArray[np.float64] = windows[:, None] + inside[None, :]
    return times


def _time_alone(turns: Sequence[Turn]) -> dict[str, float]:
    """Return for how long each speaker is the only one who talks, in seconds."""
    edges = sorted(
        [(turn.start, 1, turn.speaker) for turn in turns] + [(turn.end, -1, turn.speaker) for turn in turns]
    )
    alone: dict[str, float] = {}
    talking: Counter[str] = Counter()
    before = 0.0
    for time, change, speaker in edges:
        if len(talking) == 1:
            only = next(iter(talking))
            alone[only] = alone.get(only, 0.0) + time - before
        talking[speaker] += change
        if not talking[speaker]:
            del talking[speaker]
        before = time
    return alone


def _speaker_of(
    times: NDArray[np.float64], turns: Sequence[Turn], labels: Sequence[str]
) -> NDArray[np.int16]:
    """Return which speaker talks at each time, as an index of ``labels``; -1: nobody, or more than one."""
    import numpy as np  # noqa: PLC0415 -- heavy

    talking = np.zeros(times.shape, np.int16)
    speaker = np.full(times.shape, -1, np.int16)
    for index, label in enumerate(labels):
        own = [turn for turn in turns if turn.speaker == label]
        starts = np.sort([turn.start for turn in own])
        ends = np.sort([turn.end for turn in own])
        inside = np.searchsorted(starts, times, "right") > np.searchsorted(ends, times, "right")
        talking += inside
        speaker[inside] = index
    speaker[talking != 1] = -1
    return speaker
