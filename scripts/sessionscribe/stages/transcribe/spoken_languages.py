"""Detect the language of each window, for sessions with several languages or an unknown one.

Everything depends on a single window, so cuts between chunks do not matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from operator import itemgetter

from sessionscribe.artifacts.plan import Span
from sessionscribe.core.intervals import united
from sessionscribe.core.units import SAMPLE_RATE
from sessionscribe.stages.transcribe.windows import Window, decoding_windows

PART_S = 10.0
"""Length of speech whose language is detected at once; as reliable as 30 s, and closer to changes."""
CONFIDENT = 0.5
"""Least probability of a detected language; in far-field meetings, right ones have 0.4 to 1.0."""

Detect = Callable[[Window], tuple[str, float]]
"""Returns the language of a window and its probability."""


def by_language(windows: Iterable[Window], detect: Detect) -> list[tuple[Window, str]]:
    """Divide windows where the language changes; return each part with its language."""
    found = []
    for window in windows:
        parts = decoding_windows(window, longest=round(PART_S * SAMPLE_RATE))
        codes = _settled([detect(part) for part in parts])
        for code, group in groupby(zip(codes, parts, strict=True), key=itemgetter(0)):
            speech = united((span.start, span.stop) for _, part in group for span in part)
            found.append((tuple(Span(start=start, stop=stop) for start, stop in speech), code))
    return found


def _settled(detected: Sequence[tuple[str, float]]) -> list[str]:
    """Return the language of each part; doubtful ones get that of the previous part, or else the next one.

    If all are doubtful, all get the most probable language.
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
