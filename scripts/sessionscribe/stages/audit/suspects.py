"""Which words may be invented or misheard: repetitions, and passages of low probability."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from statistics import fmean

from sessionscribe.artifacts.audit import LowConfidence, Repeat
from sessionscribe.artifacts.merged import MergedWord
from sessionscribe.core.repetition import runs
from sessionscribe.core.text import join_words, normalised

SMOOTH = 5
"""Words over which probabilities are averaged."""
FEWEST = 4
"""Words of the shortest passage that is listed."""


def repeats(words: Sequence[MergedWord], *, most: int) -> list[Repeat]:
    """Return phrases that follow themselves more than ``most`` times (single words twice that)."""
    return [
        Repeat(
            track=words[run.first].track,
            start=words[run.first].start,
            end=max(word.end for word in words[run.first : run.stop]),
            text=join_words(words[run.first : run.first + run.period]),
            times=run.times,
        )
        for run in runs([normalised(word.text) for word in words], most=most)
    ]


def unsure(words: Sequence[MergedWord], *, below: float) -> list[LowConfidence]:
    """Return the passages of a track in which the moving average of probabilities is ``below`` a limit."""
    half = SMOOTH // 2
    means = [
        fmean(word.probability for word in words[max(0, i - half) : i + half + 1]) for i in range(len(words))
    ]
    found: list[LowConfidence] = []
    for low, group in groupby(zip(means, words, strict=True), key=lambda pair: pair[0] < below):
        part = [word for _, word in group]
        if low and len(part) >= FEWEST:
            found.append(
                LowConfidence(
                    track=part[0].track,
                    start=part[0].start,
                    end=max(word.end for word in part),
                    words=len(part),
                    probability=round(fmean(word.probability for word in part), 4),
                    text=join_words(part),
                )
            )
    return found
