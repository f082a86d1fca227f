"""An embedding for each speaker of a session, from the embeddings of its windows.

It is the mean of the normalised embeddings of all windows in which the speaker is heard, weighted by how long
only this speaker talks in them. No audio is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

from sessionscribe.artifacts.speakers import Turn, Voice
from sessionscribe.core.intervals import Interval, length, outside, united
from sessionscribe.core.units import SAMPLE_RATE, milliseconds
from sessionscribe.stages.diarize.embeddings import Embeddings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ACTIVE = 0.5
"""Score from which a local speaker counts as talking; decisions are 0 or 1."""
DIGITS = 6


def speaker_embeddings(found: Embeddings, turns: Sequence[Turn]) -> list[Voice]:
    """Return the embedding of each speaker who ever talks alone, in the order of labels.

    A window's local speaker is the speaker who, by the turns, talks most while only that local speaker is
    heard in the window.
    """
    import numpy as np  # noqa: PLC0415 -- heavy

    alone_ms = {label: own for label, own in sorted(_alone(turns).items()) if own}
    if not alone_ms or not found.about.windows:
        return []
    active = found.segmentations > ACTIVE
    alone = active & (active.sum(axis=2, keepdims=True) == 1)  # windows, frames, local speakers
    weights = np.zeros((len(alone_ms), *alone.shape[::2]))  # speakers, windows, local speakers
    centres = _centres(found)
    for index, own in enumerate(alone_ms.values()):
        edges = np.array(own).ravel() / 1000
        talks = np.searchsorted(edges, centres, "right") % 2 == 1  # between a start and its end
        weights[index] = np.einsum("wfs,wf->ws", alone, talks, dtype=np.float64)
    weights *= weights == weights.max(axis=0)
    lengths = np.linalg.norm(found.embeddings, axis=2, keepdims=True)
    usable = np.isfinite(lengths) & (lengths > 0)
    units = np.where(usable, found.embeddings / np.where(usable, lengths, 1), 0)
    weights *= usable[None, ..., 0]
    sums = np.einsum("kws,wsd->kd", weights, units)
    return [
        Voice(speaker=label, speech_s=length(own) / 1000, embedding=(total / norm).round(DIGITS).tolist())
        for (label, own), total, norm in zip(
            alone_ms.items(), sums, np.linalg.norm(sums, axis=1), strict=True
        )
        if norm > 0
    ]


def _alone(turns: Sequence[Turn]) -> dict[str, list[Interval]]:
    """Return when each speaker is the only one who talks, in milliseconds."""
    spans: dict[str, list[Interval]] = {}
    for turn in turns:
        spans.setdefault(turn.speaker, []).append((milliseconds(turn.start), milliseconds(turn.end)))
    return {
        speaker: outside(
            united(own), united(chain.from_iterable(spans[other] for other in spans if other != speaker))
        )
        for speaker, own in spans.items()
    }


def _centres(found: Embeddings) -> NDArray[np.float64]:
    """Return the middle of each frame of each window in seconds of the session, ``[windows, frames]``."""
    import numpy as np  # noqa: PLC0415 -- heavy

    about, frames = found.about, found.segmentations.shape[1]
    windows = (about.first + np.arange(about.windows)) * about.step / SAMPLE_RATE
    inside = about.frame_start + about.frame_duration / 2 + np.arange(frames) * about.frame_step
    times: NDArray[np.float64] = windows[:, None] + inside[None, :]
    return times
