"""What may be doubled, invented or misheard: repetitions, and stretches of low probability."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from statistics import fmean

from sessionscribe.artifacts.audit import LowConfidence, Repeat
from sessionscribe.artifacts.merged import MergedWord
from sessionscribe.core.repetition import runs
from sessionscribe.core.text import join_words, normalised

SMOOTH = 5  # words over which the probability is averaged
FEWEST = 4  # words of a stretch that is worth naming


def repeats(words: Sequence[MergedWord], *, most: int) -> list[Repeat]:
    """Return where a track's words follow themselves more than ``most`` times (single ones: twice that)."""
    texts = [normalised(word.text) for word in words]
    return [
        Repeat(
            track=words[run.first].track,
            start=words[run.first].start,
            end=max(word.end for word in words[run.first : run.stop]),
            text=join_words(words[run.first : run.first + run.period]),
            times=run.times,
        )
        for run in runs(texts, most=most)
    ]


def unsure(words: Sequence[MergedWord], *, below: float) -> list[LowConfidence]:
    """Return the stretches of a track in which words have a low probability, averaged over five of them.

    Args:
        words: of the track, in order.
        below: the mean probability under which words are doubted.
    """
    half = SMOOTH // 2
    means = [
        fmean(word.probability for word in words[max(0, i - half) : i + half + 1]) for i in range(len(words))
    ]
    found: list[LowConfidence] = []
    for low, group in groupby(range(len(words)), key=lambda i: means[i] < below):
        numbers = list(group)
        if not low or len(numbers) < FEWEST:
            continue
        part = words[numbers[0] : numbers[-1] + 1]
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
