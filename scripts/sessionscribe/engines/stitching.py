"""Concatenate stretches of speech to a window without pauses, and restore the original times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING

from sessionscribe.artifacts.plan import Span
from sessionscribe.core.intervals import interval
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.engines.decoded import Decoded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def stitched(audio: NDArray[np.float32], pieces: Sequence[Span]) -> NDArray[np.float32]:
    """Return the pieces of ``audio`` ``[n]``, concatenated."""
    import numpy as np  # noqa: PLC0415 -- heavy

    return np.concatenate([audio[piece.start : piece.stop] for piece in pieces])


def restored(segment: Decoded, pieces: Sequence[Span]) -> Decoded:
    """Return a segment of a stitched window with the times of the original audio.

    A word belongs to the piece that contains its middle, and its times are clamped to the piece, because the
    engine may place words in the silence that it appends to a window.

    Args:
        segment: a segment whose times, in seconds, begin at the start of the first piece.
        pieces: the pieces of the window, in samples, in order.
    """
    lengths = (piece.stop - piece.start for piece in pieces)
    ends = list(accumulate(lengths, initial=pieces[0].start))[1:]

    def place(start: float, end: float) -> tuple[float, float]:
        # In samples, so that rounding does not decide about a word between two pieces.
        middle = sum(interval(start, end)) / 2
        number = next((i for i, stop in enumerate(ends) if middle < stop), len(ends) - 1)
        low, high = pieces[number].start / SAMPLE_RATE, pieces[number].stop / SAMPLE_RATE
        shift = high - ends[number] / SAMPLE_RATE
        return min(max(start + shift, low), high), min(max(end + shift, low), high)

    words = []
    for word in segment.words:
        start, end = place(word.start, word.end)
        words.append(replace(word, start=start, end=end))
    if words:
        return replace(segment, words=tuple(words), start=words[0].start, end=words[-1].end)
    first, last = place(segment.start, segment.start)[0], place(segment.end, segment.end)[1]
    return replace(segment, start=first, end=last)
