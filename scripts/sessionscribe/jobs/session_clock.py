"""How long a machine is ours, and what is to be done before its time is over. Python's own library only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class SessionClock:
    """Counts down to the moment at which a machine is taken away, until ``stop`` or the end of a ``with``.

    Args:
        hours: how long it is ours in all.
        used_s: how long it has been ours when the clock is made, in seconds.
    """

    def __init__(self, hours: float, used_s: float = 0.0) -> None:
        self._end = time.monotonic() + hours * 3600 - used_s
        self._timers: list[threading.Timer] = []

    def time_remaining(self) -> float:
        """Return the seconds that are left; 0 when the time is over."""
        return max(0.0, self._end - time.monotonic())

    def register_checkpoint_callback(self, callback: Callable[[], None], minutes_before: float = 15) -> None:
        """Have ``callback`` called once, in a thread of its own, so long before the end.

        Where less time is left than that it is called at once.
        """
        timer = threading.Timer(max(0.0, self.time_remaining() - minutes_before * 60), callback)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    def stop(self) -> None:
        """Call nothing any more."""
        for timer in self._timers:
            timer.cancel()

    def __enter__(self) -> SessionClock:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
