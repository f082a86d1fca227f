"""The loaded models of this process: each is loaded once, and freed if memory is short.

The process of a single job has one model; a warm worker keeps its models from job to job.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from sessionscribe.core.errors import UserError
from sessionscribe.jobs import memory, metrics

T = TypeVar("T")

WORKING_ROOM = 1 << 30
"""Bytes that a model needs for computing, in addition to its weights."""
GROWTH = 1.5
"""Largest ratio of weights in memory to their files, which may be compressed."""
PATIENCE_S = 3600.0
"""Longest wait for a model that is in use; much longer than a chunk should take."""


_HELD: OrderedDict[tuple[Hashable, ...], tuple[Any, str]] = OrderedDict()
"""Models and their devices, the least recently used first."""
_LOCK = threading.RLock()


def hold(key: tuple[Hashable, ...], load: Callable[[], T], *, size_bytes: int, device: str) -> T:
    """Return the model of ``key``; load it if necessary.

    If memory is short, the least recently used models on the device are freed first, after waiting up to
    ``PATIENCE_S`` for other threads that use them.

    Args:
        key: identifies the loaded object; its second item names the model in the job's record.
        load: loads it.
        size_bytes: size of its files.
        device: ``cpu`` or ``cuda``.

    Raises:
        UserError: memory is short because a model has been in use for longer than that.
    """
    with _LOCK:
        if key in _HELD:
            _HELD.move_to_end(key)
            return _HELD[key][0]  # type: ignore[no-any-return]
        memory.keep_freed()
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
        metrics.loaded(str(key[1]), time.monotonic() - started)
        _HELD[key] = model, device
        return model


def _free_one(device: str) -> bool:
    """Free the least recently used model on ``device``; return False if there is none."""
    key = next((key for key, (_, its_device) in _HELD.items() if its_device == device), None)
    if key is None:
        return False
    _free(key)
    return True


def _free(key: tuple[Hashable, ...]) -> None:
    freed, device = _HELD.pop(key)
    gone = weakref.ref(freed)
    del freed
    memory.release()
    until = time.monotonic() + PATIENCE_S
    while (model := gone()) is not None:  # another job is using it
        if time.monotonic() > until:
            _HELD[key] = model, device
            what = f"has been in use for {PATIENCE_S / 60:g} minutes, with no memory for another model"
            hint = "Run one job with a model at a time (`--resources gpu=1`), or choose a smaller model"
            raise UserError(what, where=str(key[1]), hint=hint)
        del model
        time.sleep(0.05)
        memory.release()
