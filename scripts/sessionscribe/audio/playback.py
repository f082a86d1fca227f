"""Listening copies: a session's audio as one small file that browsers and telephones play; its waveform."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from sessionscribe.artifacts.plan import Timeline
from sessionscribe.audio.flac import read_samples
from sessionscribe.core.files import atomic_path
from sessionscribe.core.units import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BIT_RATE = 48_000
BLOCK = 60 * SAMPLE_RATE
COLUMNS = 2000
"""Number of peaks in a session's waveform, about the width of a screen."""


def write_m4a(timeline: Timeline, folder: Path, target: Path) -> None:
    """Write the mix of a session's tracks as AAC in an `.m4a`; gaps are silence.

    Args:
        timeline: the positions of the tracks.
        folder: the converted tracks, `{track}.flac`.
        target: the file to write.

    Raises:
        UserError: a converted track is missing or damaged.
    """
    import av  # noqa: PLC0415 -- heavy
    import numpy as np  # noqa: PLC0415 -- heavy

    options = {"fflags": "+bitexact", "movflags": "+faststart"}
    with (
        atomic_path(target) as temporary,
        av.open(str(temporary), "w", format="ipod", options=options) as out,
    ):
        stream = out.add_stream("aac", SAMPLE_RATE, {"flags": "+bitexact"}, layout="mono", bit_rate=BIT_RATE)
        for start, block in enumerate(mixed(timeline, folder)):
            frame = av.AudioFrame.from_ndarray(np.clip(block, -1, 1)[None, :], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start * BLOCK
            frame.time_base = Fraction(1, SAMPLE_RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def peaks(timeline: Timeline, folder: Path) -> list[int]:
    """Return the loudest sample, 0 to 255, of each of ``COLUMNS`` equal parts of a session.

    Args:
        timeline: where each track lies.
        folder: the converted tracks, `{track}.flac`.

    Raises:
        UserError: a converted track is missing or damaged.
    """
    import numpy as np  # noqa: PLC0415 -- heavy

    columns = min(COLUMNS, timeline.samples)
    starts = np.arange(columns) * timeline.samples // max(1, columns)
    found = np.zeros(columns, np.float32)
    for number, block in enumerate(mixed(timeline, folder)):
        begin = number * BLOCK
        first, stop = np.searchsorted(starts, (begin + 1, begin + len(block)))
        loudest = np.maximum.reduceat(np.abs(block), [0, *(starts[first:stop] - begin)])
        found[first - 1 : stop] = np.maximum(found[first - 1 : stop], loudest)
    return [int(peak) for peak in (found.clip(0, 1) * 255).astype(int)]


def mixed(timeline: Timeline, folder: Path) -> Iterator[NDArray[np.float32]]:
    """Yield the sum of all tracks in blocks of a minute; gaps are silence."""
    import numpy as np  # noqa: PLC0415 -- heavy

    for start in range(0, timeline.samples, BLOCK):
        stop = min(start + BLOCK, timeline.samples)
        block = np.zeros(stop - start, np.float32)
        for track in timeline.tracks:
            first, last = max(start, track.offset), min(stop, track.offset + track.samples)
            if first < last:
                path = folder / f"{track.track}.flac"
                samples = read_samples(path, first - track.offset, last - track.offset)
                block[first - start : last - start] += samples
        yield block
