"""Save results regularly during a run. Standard library only."""

from __future__ import annotations

import threading
from collections.abc import Callable


class CheckpointManager:
    """Calls ``save`` every ``interval_s`` seconds from ``start`` to ``stop``, in a thread of its own.

    Only one save runs at a time. A failed save is repeated at the next one; ``problem`` is its exception, or
    None after a successful save.

    Args:
        save: saves what is new; it must be safe to call it again.
        interval_s: seconds from the end of one save to the beginning of the next.
        on_error: is called with the exception of a failed save.
    """

    def __init__(
        self,
        save: Callable[[], object],
        interval_s: float,
        on_error: Callable[[Exception], None] = lambda _: None,
    ) -> None:
        self._save, self.interval_s, self._on_error = save, interval_s, on_error
        self._ended, self._lock = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
        self.problem: Exception | None = None

    def start(self) -> CheckpointManager:
        """Start the thread; the first save is after ``interval_s``."""
        self._thread.start()
        return self

    def save_now(self) -> bool:
        """Save at once and return whether it succeeded."""
        with self._lock:
            self.problem = None
            try:
                self._save()
            except Exception as error:  # such as a full disk or no network: the run goes on
                self.problem = error
                self._on_error(error)
            return self.problem is None

    def stop(self) -> bool:
        """End the thread, save a last time, and return whether that succeeded."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        return self.save_now()

    def _run(self) -> None:
        while not self._ended.wait(self.interval_s):
            self.save_now()

    def __enter__(self) -> CheckpointManager:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
