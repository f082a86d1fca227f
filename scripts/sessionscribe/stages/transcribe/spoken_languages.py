"""Which language each window is in, where a session has several, or nobody knows.

All of it depends on a window alone, so where chunks are cut changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import itemgetter

from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.stages.transcribe.windows import Window, decoding_windows, speech_of

PART_S = 10.0
"""Speech that is asked for its language at once: as sure as 30 s, and a change is heard near its place."""
CONFIDENT = 0.5
"""From this probability on a language counts; on far-field meetings, right ones have 0.4 to 1.0."""

Detect = Callable[[Window], tuple[str, float]]
"""Returns the language of a window and its probability."""


def by_language(windows: Iterable[Window], detect: Detect) -> list[tuple[Window, str]]:
    """Return windows of one language each, and it: those given, parted where the language changes."""
    found = []
    for window in windows:
        parts = decoding_windows(window, longest=round(PART_S * SAMPLE_RATE))
        codes = _settled([detect(part) for part in parts])
        for code, group in groupby(zip(codes, parts, strict=True), key=itemgetter(0)):
            found.append((tuple(speech_of(part for _, part in group)), code))
    return found


def _settled(detected: Sequence[tuple[str, float]]) -> list[str]:
    """Return the language of each part: where it is not sure, that of the part before, else of the one after.

    Where no part is sure, all have the likeliest one.
    """
    sure = [(number, code) for number, (code, probability) in enumerate(detected) if probability >= CONFIDENT]
    if not sure:
        weight = defaultdict[str, float](float)
        for code, probability in detected:
            weight[code] += probability
        sure = [(0, max(sorted(weight), key=weight.__getitem__))]
    codes = [sure[0][1]] * len(detected)
    for number, code in sure:
        codes[number:] = [code] * (len(detected) - number)
    return codes
