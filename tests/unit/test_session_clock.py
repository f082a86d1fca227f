"""The clock of a machine that is taken away, and saves every so often before that."""

from __future__ import annotations

import threading
import time

from sessionscribe.jobs.checkpoints import CheckpointManager
from sessionscribe.jobs.session_clock import SessionClock


def test_time_runs_out() -> None:
    clock = SessionClock(1.0, used_s=3600 - 0.05)
    assert 0 < clock.time_remaining() <= 0.05
    time.sleep(0.06)
    assert clock.time_remaining() == 0


def test_callbacks_come_in_time_once_and_the_earlier_first() -> None:
    called, done = list[str](), threading.Event()
    with SessionClock(0.5 / 3600) as clock:
        clock.register_checkpoint_callback(done.set, minutes_before=0)
        clock.register_checkpoint_callback(lambda: called.append("save"), minutes_before=0.2 / 60)
        clock.register_checkpoint_callback(lambda: called.append("late"), minutes_before=15)
        assert done.wait(5)
    assert called == ["late", "save"]


def test_a_stopped_clock_calls_nothing() -> None:
    called = list[int]()
    with SessionClock(0.1 / 3600) as clock:
        clock.register_checkpoint_callback(lambda: called.append(1), minutes_before=0)
    time.sleep(0.15)
    assert called == []


def test_saves_go_on_after_one_that_failed() -> None:
    answers, told = [1, OSError("full"), 2], list[str]()
    saved_twice = threading.Event()

    def save() -> int:
        answer = answers.pop(0) if answers else 0
        if isinstance(answer, OSError):
            raise answer
        if not answers:
            saved_twice.set()
        return answer

    manager = CheckpointManager(save, 0.01, lambda error: told.append(str(error)))
    with manager:
        assert saved_twice.wait(5)
    assert told == ["full"]
    assert manager.problem is None


def test_the_last_save_tells_whether_it_went_well() -> None:
    def save() -> int:
        raise OSError("gone")

    manager = CheckpointManager(save, 100).start()
    manager.stop()
    assert str(manager.problem) == "gone"
