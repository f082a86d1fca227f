"""The models that this process holds, as tests look at them and let go of them."""

from __future__ import annotations

from collections.abc import Hashable

from sessionscribe.engines import pool
from sessionscribe.jobs import memory


def held() -> list[Hashable]:
    """Return the keys of the loaded models, the one used longest ago first."""
    return list(pool._HELD)


def free_all() -> int:
    """Let go of every model, and return how many there were.

    Other than the pool this does not wait until nobody has one any more: another test's fixture may.
    """
    count = len(pool._HELD)
    pool._HELD.clear()
    memory.release()
    return count
