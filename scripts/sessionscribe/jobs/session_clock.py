"""How long a machine is ours, and what is to be done before its time is over. Python's own library only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class SessionClock:
    """Counts down to the moment at which a machine is taken away.

    Args:
        hours: how long it is ours in all.
        used_s: how long it has been ours when the clock is made, in seconds.
    """

    def __init__(self, hours: float, used_s: float = 0.0) -> None:
        self._end = time.monotonic() + hours * 3600 - used_s
        self._callbacks: list[tuple[float, Callable[[], None]]] = []
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="session clock", daemon=True)

    def time_remaining(self) -> float:
        """Return the seconds that are left; 0 when the time is over."""
        return max(0.0, self._end - time.monotonic())

    def is_expired(self) -> bool:
        """Return whether the time is over."""
        return self.time_remaining() == 0

    def register_checkpoint_callback(self, callback: Callable[[], None], minutes_before: float = 15) -> None:
        """Have ``callback`` called once, in the clock's thread, so long before the end.

        Where less time is left than that it is called at once.
        """
        with self._changed:
            self._callbacks.append((minutes_before * 60, callback))
            self._changed.notify()

    def start(self) -> SessionClock:
        """Begin to call what was registered."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Call nothing any more."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def __enter__(self) -> SessionClock:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._stopped and not self._due():
                    self._changed.wait(self._wait_s())
                if self._stopped:
                    return
                due = self._due()
                self._callbacks = [entry for entry in self._callbacks if entry not in due]
            for _, callback in sorted(due, key=lambda entry: -entry[0]):
                callback()

    def _due(self) -> list[tuple[float, Callable[[], None]]]:
        left = self.time_remaining()
        return [entry for entry in self._callbacks if left <= entry[0]]

    def _wait_s(self) -> float | None:
        waits = [self.time_remaining() - before for before, _ in self._callbacks]
        return min(waits) if waits else None
