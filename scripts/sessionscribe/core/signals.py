"""Signal handlers that may wait for a lock."""

from __future__ import annotations

import signal
import threading
from queue import SimpleQueue


def handle_in_thread(number: int) -> None:
    """Run the present handler of a signal in a thread of its own.

    Python would interrupt the main thread for it. If the main thread held a lock that the handler takes, it
    would wait forever.
    """
    handler = signal.getsignal(number)
    if not callable(handler):
        return
    received = SimpleQueue[int]()  # the only queue whose `put` is reentrant

    def call() -> None:
        while True:
            handler(received.get(), None)

    threading.Thread(target=call, name=f"signal-{number}", daemon=True).start()
    signal.signal(number, lambda number, _frame: received.put(number))
