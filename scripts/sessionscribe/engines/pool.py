"""The models that this process has loaded: each one once, and never more than memory holds.

In a job's own process there is one model and this is a dictionary of one; in a warm worker it is what makes a
chunk cost nothing but its decoding.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

from sessionscribe import meter
from sessionscribe.engines import memory

T = TypeVar("T")

WORKING_ROOM = 1 << 30
"""Bytes that a model needs beside its weights, for what it computes."""
GROWTH = 1.5
"""Weights in memory against the size of their files, at most: some formats are unpacked."""


@dataclass
class _Held:
    model: Any
    device: str


_HELD: OrderedDict[Hashable, _Held] = OrderedDict()
_LOCK = threading.RLock()


def hold(key: tuple[Hashable, ...], load: Callable[[], T], *, size_bytes: int, device: str) -> T:
    """Return this process's model for ``key``; load it if it is not there.

    Where memory would not hold it beside the others on its device, those that were used longest ago are
    freed first; one that another thread still computes with is waited for.

    Args:
        key: all that determines the loaded object; its second entry names the model in the job's record.
        load: loads it.
        size_bytes: size of its files.
        device: ``cpu`` or ``cuda``.
    """
    with _LOCK:
        if key in _HELD:
            _HELD.move_to_end(key)
            return _HELD[key].model  # type: ignore[no-any-return]
        while memory.free(device) < size_bytes * GROWTH + WORKING_ROOM and _free_one(device):
            pass
        started = time.monotonic()
        try:
            model = load()
        except Exception as error:
            if not (memory.is_shortage(error) and _free_one(device)):
                raise
            while _free_one(device):
                pass
            model = load()
        meter.loaded(str(key[1] if len(key) > 1 else key[0]), time.monotonic() - started)
        _HELD[key] = _Held(model, device)
        return model


def _free_one(device: str) -> bool:
    """Free the model on ``device`` that was used longest ago; False where there is none."""
    key = next((key for key, kept in _HELD.items() if kept.device == device), None)
    if key is None:
        return False
    _free(key)
    return True


def _free(key: Hashable) -> None:
    gone = weakref.ref(_HELD.pop(key).model)
    memory.release()
    while gone() is not None:
        time.sleep(0.05)  # another job computes with it
        memory.release()
