"""Confidence intervals by the percentile bootstrap over blocks of speech.

Errors of neighbouring words are not independent, so blocks are drawn instead of words: utterances of the
reference, minutes for speakers, or whole sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Interval = tuple[float, float]
LEVEL = 0.95
FEWEST_SESSIONS = 5  # fewest sessions that are drawn as a whole; with fewer, their blocks are drawn


@dataclass(frozen=True)
class Counts:
    """The errors of a measure and the totals to divide them by, for each block, and sums of details."""

    errors: Array
    totals: Array
    sums: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Bootstrap:
    """Options of the bootstrap; the same seed gives the same intervals."""

    resamples: int = 1000
    seed: int = 0

    def interval(self, blocks: int, statistic: Callable[[Array], float]) -> Interval | None:
        """Return the 95 % interval of a statistic, which is given how often each block was drawn.

        Returns None with fewer than two blocks, or if the statistic is never finite.
        """
        if blocks < 2 or self.resamples < 1:
            return None
        rng = np.random.default_rng(self.seed)
        draws = np.array(
            [
                statistic(np.bincount(drawn, minlength=blocks).astype(np.float64))
                for drawn in rng.integers(0, blocks, (self.resamples, blocks))
            ]
        )
        defined = draws[np.isfinite(draws)]  # for example, draws of silent minutes only have no rate
        if not len(defined):
            return None
        low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(low), float(high)


def ratio(errors: Array, totals: Array) -> Callable[[Array], float]:
    """Return the statistic "errors divided by totals" of the drawn blocks."""

    def statistic(drawn: Array) -> float:
        total = float(drawn @ totals)
        return float(drawn @ errors) / total if total > 0 else float("nan")

    return statistic


def quantile(values: Array, block_of: NDArray[np.int64], share: float) -> Callable[[Array], float]:
    """Return the statistic "quantile of the values" of the drawn blocks."""
    order = np.argsort(values, kind="stable")
    ordered, blocks = values[order], block_of[order]

    def statistic(drawn: Array) -> float:
        weight = np.cumsum(drawn[blocks])
        if not len(weight) or weight[-1] == 0:
            return float("nan")
        return float(ordered[int(np.searchsorted(weight, share * weight[-1]))])

    return statistic
