"""Divide speech into the windows that are decoded.

Each window is decoded separately, so a sentence that is divided between two windows is transcribed badly. So
windows end in long pauses, although there are few of them. They depend on the speech of the whole track, so
they are the same wherever the track is cut into chunks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from sessionscribe.artifacts.plan import ChunkPlan, PlannedChunk, Span
from sessionscribe.config.settings import Transcribe
from sessionscribe.core.intervals import common
from sessionscribe.core.units import SAMPLE_RATE

Window = tuple[Span, ...]
"""Spans of speech in samples, in order and without overlaps."""

BREAK = 4.0
"""Cost of ending a window without a pause; the cost of a window is 1."""
PAUSE_S = 0.5
"""This much more pause reduces the cost by a factor of e."""
WHOLE = 2
"""Longest window including its pauses, in window lengths, that is not divided by cuts in silence."""


def chunk_windows(plan: ChunkPlan, index: int, options: Transcribe) -> list[Window]:
    """Return the windows that chunk ``index`` of a plan decodes, in samples of the track.

    A window that contains a cut belongs to the chunk that contains its middle, so no word is cut, decoded
    twice or missed. Only windows with so long pauses that a chunk would reach far beyond its own audio are
    divided by cuts in silence.
    """
    core, longest = plan.cores[index], round(options.window_s * SAMPLE_RATE)
    windows = decoding_windows(plan.speech, longest=longest)
    low, high = _between_silences(plan.cores, index)
    reach = WHOLE * longest
    whole = (w if w[-1].stop - w[0].start <= reach else _part(w, low, high) for w in windows)
    return [w for w in whole if w and core.start <= (w[0].start + w[-1].stop) // 2 < core.stop]


def span_of(windows: Sequence[Window], core: PlannedChunk) -> Span:
    """Return the audio that contains the windows, in samples of the track; empty without windows."""
    if not windows:
        return Span(start=core.start, stop=core.start)
    return Span(start=windows[0][0].start, stop=windows[-1][-1].stop)


def _between_silences(cores: Sequence[PlannedChunk], index: int) -> tuple[int, int]:
    """Return the audio between the cuts in silence, or the ends of the track, on either side of a chunk."""
    first = last = index
    while cores[first].start_cut == "forced":
        first -= 1
    while cores[last].stop_cut == "forced":
        last += 1
    return cores[first].start, cores[last].stop


def _part(window: Window, low: int, high: int) -> Window:
    found = common([(piece.start, piece.stop) for piece in window], [(low, high)])
    return tuple(Span(start=start, stop=stop) for start, stop in found)


def decoding_windows(speech: Iterable[Span], *, longest: int) -> list[Window]:
    """Divide speech into as few windows as possible that end in pauses as long as possible.

    Windows are decoded without their pauses, so only speech counts. A longer stretch is cut into equal parts.

    Args:
        speech: in order and apart, in samples.
        longest: length of a window, in samples.
    """
    pieces = _parts(speech, longest)
    # best[j]: cost of the windows of the first j pieces; last[j]: where the last of these windows begins
    best, last = [0.0], [0]
    breaks = [0.0, *(_break(before.stop, after.start) for before, after in pairwise(pieces))]
    for stop in range(1, len(pieces) + 1):
        found, begins, heard = math.inf, stop - 1, 0
        for start in range(stop - 1, -1, -1):
            first = pieces[start]
            heard += first.stop - first.start
            if heard > longest and start < stop - 1:
                break
            cost = best[start] + 1 + breaks[start]
            if cost < found:
                found, begins = cost, start
        best.append(found)
        last.append(begins)
    windows: list[Window] = []
    stop = len(pieces)
    while stop:
        windows.append(tuple(pieces[last[stop] : stop]))
        stop = last[stop]
    return windows[::-1]


def _parts(speech: Iterable[Span], longest: int) -> list[Span]:
    """Return the stretches, those that are too long in equal parts."""
    found = []
    for span in speech:
        length = span.stop - span.start
        parts = -(-length // longest)
        edges = [span.start + length * part // parts for part in range(parts + 1)]
        found += [Span(start=a, stop=b) for a, b in pairwise(edges)]
    return found


def _break(stop: int, start: int) -> float:
    """Return the cost of ending a window in the pause between two pieces."""
    return BREAK * math.exp((stop - start) / (PAUSE_S * SAMPLE_RATE))
