"""The models that this process holds, as tests look at them and let go of them."""

from __future__ import annotations

from collections.abc import Hashable

from sessionscribe.engines import pool


def held() -> list[Hashable]:
    """Return the keys of the loaded models, the one used longest ago first."""
    return list(pool._HELD)


def free_all() -> int:
    """Free every model as the pool does for another one, and return how many there were."""
    count = 0
    while any(pool._free_one(device) for device in ("cpu", "cuda")):
        count += 1
    return count
