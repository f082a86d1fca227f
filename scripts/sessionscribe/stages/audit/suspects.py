"""What may be doubled, invented or misheard: repetitions, and stretches of low probability."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from statistics import fmean

from sessionscribe.artifacts.audit import LowConfidence, Repeat
from sessionscribe.artifacts.merged import MergedWord
from sessionscribe.artifacts.plan import ChunkPlan
from sessionscribe.core.repetition import runs, shared
from sessionscribe.core.text import join_words, normalised
from sessionscribe.core.units import SAMPLE_RATE

REACH = 3 * SAMPLE_RATE  # so near a cut, words that are the same on both sides may have been said once
SMOOTH = 5  # words over which the probability is averaged
FEWEST = 4  # words of a stretch that is worth naming


def repeats(words: Sequence[MergedWord], *, most: int) -> list[Repeat]:
    """Return where a track's words follow themselves more than ``most`` times (single ones: twice that)."""
    texts = [normalised(word.text) for word in words]
    return [
        _repeat(words[run.first : run.stop], run.times, words[run.first : run.first + run.period])
        for run in runs(texts, most=most)
    ]


def repeats_at_seams(plan: ChunkPlan, words: Sequence[MergedWord], *, offset: int) -> list[Repeat]:
    """Return the words of a track that are on both sides of a cut.

    Args:
        plan: how the track is cut.
        words: of the track, in order, on the session's clock.
        offset: of the track in its session, in samples.
    """
    starts = [round(word.start * SAMPLE_RATE) for word in words]
    found: list[Repeat] = []
    first = 0
    for left, right in pairwise(sorted(plan.cores, key=lambda core: core.start)):
        begin, end = offset + right.start - REACH, offset + left.stop + REACH
        while first < len(words) and starts[first] < begin:
            first += 1
        last = first
        while last < len(words) and starts[last] <= end:
            last += 1
        sides = (
            [word for word in words[first:last] if word.chunk <= left.index],
            [word for word in words[first:last] if word.chunk > left.index],
        )
        same = shared(*([normalised(word.text) for word in side] for side in sides))
        if same:
            i, j, size = same
            both = [*sides[0][i:], *sides[1][: j + size]]
            found.append(_repeat(both, 2, sides[1][j : j + size], at_seam=True))
    return found


def _repeat(
    words: Sequence[MergedWord],
    times: int,
    phrase: Sequence[MergedWord],
    *,
    at_seam: bool = False,
) -> Repeat:
    return Repeat(
        track=words[0].track,
        start=words[0].start,
        end=max(word.end for word in words),
        text=join_words(phrase),
        times=times,
        at_seam=at_seam,
    )


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
