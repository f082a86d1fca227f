"""What is done, saved every so often while a run goes on. Needs Python's own library only."""

from __future__ import annotations

import threading
from collections.abc import Callable


class CheckpointManager:
    """Calls ``save`` every ``interval_s`` seconds from ``start`` to ``stop``, in a thread of its own.

    One save at a time: ``save_now`` waits for one that runs. What fails is tried again the next time; the
    last failure is in ``problem``, which a save that succeeds clears.

    Args:
        save: saves what is new. It must be safe to call again.
        interval_s: seconds from the end of one save to the begin of the next.
        on_error: is told what went wrong.
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
        """Begin to save, first after ``interval_s``."""
        self._thread.start()
        return self

    def save_now(self) -> bool:
        """Save at once; return whether that went well."""
        with self._lock:
            try:
                self._save()
            except Exception as error:  # a full disk, a network that is away: the work goes on
                self.problem = error
                self._on_error(error)
                return False
            self.problem = None
            return True

    def stop(self) -> bool:
        """End the thread, save a last time, and return whether that went well."""
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
