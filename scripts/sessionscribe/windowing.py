"""Which stretches of speech are decoded together, as one window.

A window is decoded by itself, so a sentence that two windows share is heard badly. Windows that are simply
filled end anywhere; here they end in pauses, the longer the better, and are hardly more for it. They follow
from the speech of the whole track, not of a chunk: away from the cuts a chunk has the windows that a run over
the whole track would have, wherever it is cut.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from sessionscribe.artifacts import SAMPLE_RATE, Core, Span
from sessionscribe.intervals import common

Window = tuple[Span, ...]
"""A few stretches of speech in samples, in order and apart."""

BREAK = 4.0
"""What ending a window without any pause costs, in windows."""
PAUSE_S = 0.5
"""A pause longer by this makes that cheaper by a factor of e."""


def chunk_windows(speech: Sequence[Span], core: Core, *, longest: int, batched: bool) -> list[Window]:
    """Return the windows of a chunk, in samples from the start of its context.

    Args:
        speech: of the whole track, in order and apart.
        core: the chunk.
        longest: as for `decoding_windows`.
        batched: as for `decoding_windows`.
    """
    windows = decoding_windows(speech, longest=longest, batched=batched)
    return [tuple(heard) for window in windows if (heard := speech_of(window, core))]


def speech_of(speech: Iterable[Span], core: Core) -> list[Span]:
    """Return the speech that a chunk decodes, in samples from the start of its context.

    At a forced cut that is what the context holds, too. At a cut in silence it ends with the core: nobody
    speaks there, and what lies beyond is the neighbour's.
    """
    low = core.start if core.start_cut == "silence" else core.context_start
    high = core.stop if core.stop_cut == "silence" else core.context_stop
    shift = low - core.context_start
    found = inside(speech, Span(start=low, stop=high))
    return [Span(start=span.start + shift, stop=span.stop + shift) for span in found]


def inside(speech: Iterable[Span], part: Span) -> list[Span]:
    """Return the speech in a part of the audio, in samples from the start of that part."""
    found = common([(span.start, span.stop) for span in speech], [(part.start, part.stop)])
    return [Span(start=start - part.start, stop=stop - part.start) for start, stop in found]


def decoding_windows(speech: Iterable[Span], *, longest: int, batched: bool) -> list[Window]:
    """Return windows that hold all speech: as few as possible, and ending in pauses as long as possible.

    Batched decoding is given no pauses, so only speech counts; a stretch that is longer by itself is cut into
    equal parts. Sequential decoding hears the pauses, and moves through longer stretches by itself.

    Args:
        speech: in order and apart, in samples.
        longest: length of a window, in samples.
        batched: what the windows are for.
    """
    pieces = _parts(speech, longest) if batched else list(speech)
    # best[j]: what windows for the first j pieces cost; last[j]: where the last of them begins
    best, last = [0.0], [0]
    breaks = [0.0, *(_break(before.stop, after.start) for before, after in pairwise(pieces))]
    for stop, piece in enumerate(pieces, start=1):
        found, begins, heard = math.inf, stop - 1, 0
        for start in range(stop - 1, -1, -1):
            first = pieces[start]
            heard = heard + first.stop - first.start if batched else piece.stop - first.start
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
    """Return the stretches; those that are too long in equal parts."""
    found = []
    for span in speech:
        length = span.stop - span.start
        parts = -(-length // longest)
        edges = [span.start + length * part // parts for part in range(parts + 1)]
        found += [Span(start=a, stop=b) for a, b in pairwise(edges)]
    return found


def _break(stop: int, start: int) -> float:
    """Return what it costs to end a window in the pause between two pieces."""
    return BREAK * math.exp((stop - start) / (PAUSE_S * SAMPLE_RATE))
