"""The time until a machine is taken away. Standard library only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class SessionClock:
    """Counts down the hours for which a machine may be used, of which ``used_s`` seconds have already passed.

    Timers run until ``stop`` or the end of a ``with``.
    """

    def __init__(self, hours: float, used_s: float = 0.0) -> None:
        self._end = time.monotonic() + hours * 3600 - used_s
        self._timers: list[threading.Timer] = []

    def time_remaining(self) -> float:
        """Return the remaining seconds, at least 0."""
        return max(0.0, self._end - time.monotonic())

    def register_checkpoint_callback(self, callback: Callable[[], None], minutes_before: float = 15) -> None:
        """Call ``callback`` once, in another thread, so many minutes before the end, or now if late."""
        timer = threading.Timer(max(0.0, self.time_remaining() - minutes_before * 60), callback)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    def stop(self) -> None:
        """Cancel all callbacks."""
        for timer in self._timers:
            timer.cancel()

    def __enter__(self) -> SessionClock:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
