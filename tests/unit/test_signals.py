"""Signals whose handler takes a lock."""

from __future__ import annotations

import signal
import threading

from sessionscribe.core import signals


def test_a_handler_may_take_a_lock_that_what_it_interrupts_holds() -> None:
    lock, called = threading.Lock(), threading.Event()

    def handler(*_: object) -> None:
        with lock:
            called.set()

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        signals.handle_in_thread(signal.SIGUSR1)
        with lock:
            signal.raise_signal(signal.SIGUSR1)
            assert not called.is_set()
        assert called.wait(10)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_what_has_no_handler_is_left_as_it_is() -> None:
    signals.handle_in_thread(signal.SIGUSR2)
    assert signal.getsignal(signal.SIGUSR2) == signal.SIG_DFL
