"""Confidence intervals: the percentile bootstrap over blocks of speech that are drawn as a whole.

Words are no independent draws (a passage that goes wrong goes wrong as a whole), so a resample draws blocks,
not words: utterances of the reference, minutes for speakers, or whole sessions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Interval = tuple[float, float]
LEVEL = 0.95
FEWEST_SESSIONS = 5  # from so many on, sessions are drawn; below, their blocks


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are found; with a seed they are the same each time."""

    resamples: int = 1000
    seed: int = 0

    def interval(self, blocks: int, statistic: Callable[[Array], float]) -> Interval | None:
        """Return the 95 % interval of a statistic of how often each of the blocks was drawn.

        Fewer than two blocks, or none on which the statistic is defined, have no interval.
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
        defined = draws[np.isfinite(draws)]  # draws of nothing but silent minutes, say, have no rate
        if not len(defined):
            return None
        low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(low), float(high)


def ratio(errors: Array, totals: Array) -> Callable[[Array], float]:
    """Return errors over totals as a statistic of how often each block was drawn."""

    def statistic(drawn: Array) -> float:
        total = float(drawn @ totals)
        return float(drawn @ errors) / total if total > 0 else float("nan")

    return statistic


def quantile(values: Array, block_of: NDArray[np.int64], share: float) -> Callable[[Array], float]:
    """Return a quantile of values as a statistic of how often the block of each was drawn."""
    order = np.argsort(values, kind="stable")
    ordered, blocks = values[order], block_of[order]

    def statistic(drawn: Array) -> float:
        weight = np.cumsum(drawn[blocks])
        if not len(weight) or weight[-1] == 0:
            return float("nan")
        return float(ordered[int(np.searchsorted(weight, share * weight[-1]))])

    return statistic
