"""Finds repetition loops, which models write when they get stuck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = 10
"""Words of the longest phrase that is searched for."""


@dataclass(frozen=True)
class Run:
    """A phrase of ``period`` words that begins at ``words[first]`` and is said ``times`` times."""

    first: int
    period: int
    times: int

    @property
    def stop(self) -> int:
        """The index of the first word after it."""
        return self.first + self.period * self.times


def runs(texts: Sequence[str], *, most: int) -> list[Run]:
    """Return the phrases that are repeated more than ``most`` times, in order and without overlaps.

    A single word may be repeated twice as often: people say ``no no no no no``. Of overlapping runs the
    longest counts, and of these the one with the shortest phrase.

    Args:
        texts: normalised words (``text.normalised``).
        most: how often a phrase may be repeated.
    """
    found: list[Run] = []
    at = 0
    while at < len(texts):
        read = [Run(at, period, _times(texts, at, period)) for period in range(1, LONGEST + 1)]
        many = [run for run in read if run.times > (2 * most if run.period == 1 else most)]
        if many:
            best = max(many, key=lambda run: (run.stop, -run.period))
            found.append(best)
            at = best.stop
        else:
            at += 1
    return found


def _times(texts: Sequence[str], first: int, period: int) -> int:
    at = first + period
    while at + period <= len(texts) and texts[at] == texts[at - period]:
        if any(texts[at + i] != texts[at + i - period] for i in range(1, period)):
            break
        at += period
    return (at - first) // period
