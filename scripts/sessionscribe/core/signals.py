"""Signals, dealt with where their handler may wait for a lock."""

from __future__ import annotations

import signal
import threading
from queue import SimpleQueue


def handle_in_thread(number: int) -> None:
    """Run the present handler of a signal in a thread of its own.

    Python calls it in the middle of what the main thread does. A handler that takes a lock would wait forever
    if the main thread holds that lock just then.
    """
    handler = signal.getsignal(number)
    if not callable(handler):
        return
    received = SimpleQueue[int]()  # unlike others it may be interrupted by its own `put`

    def call() -> None:
        while True:
            handler(received.get(), None)

    threading.Thread(target=call, name=f"signal-{number}", daemon=True).start()
    signal.signal(number, lambda number, _frame: received.put(number))
