"""Save results regularly during a run. Standard library only."""

from __future__ import annotations

import threading
from collections.abc import Callable


class CheckpointManager:
    """Calls ``save`` every ``interval_s`` seconds from ``start`` to ``stop``, in a thread of its own.

    A failed save is repeated with the next one; ``problem`` is its exception, or None after a successful
    save.

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
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
        self.problem: Exception | None = None

    def start(self) -> CheckpointManager:
        """Start the thread; the first save is after ``interval_s``."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the thread and save a last time."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._save_now()

    def _run(self) -> None:
        while not self._ended.wait(self.interval_s):
            self._save_now()

    def _save_now(self) -> None:
        self.problem = None
        try:
            self._save()
        except Exception as error:  # such as a full disk or no network: the run goes on
            self.problem = error
            self._on_error(error)

    def __enter__(self) -> CheckpointManager:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
