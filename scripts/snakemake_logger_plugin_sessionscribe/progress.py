"""How much of a run is done: a live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task
from rich.progress import Progress as Bar
from rich.text import Text

WEIGHTS = {"transcribe_chunk": 10, "embed_chunk": 10, "convert_audio": 3, "plan_chunks": 3}
"""What jobs cost beside one another, so that the estimate does not jump when the long ones begin."""
INTERVAL_S = 10.0
"""Plain lines are at least so far apart."""


class Progress:
    """The state of a run's jobs, shown until ``close``.

    Args:
        work: how many jobs there are of each rule.
        console: where it is shown.
    """

    def __init__(self, work: Mapping[str, int], console: Console) -> None:
        self._work, self._console, self._shown = work, console, time.monotonic()
        self._running: dict[int, str] = {}
        self._waiting = ""
        live = console.is_interactive
        self._bar = Bar(
            BarColumn(20), _State(), console=console, transient=True, refresh_per_second=2, disable=not live
        )
        total = sum(count * WEIGHTS.get(rule, 1) for rule, count in work.items())
        self._bar.add_task("", total=total, done=0, jobs=sum(work.values()))
        (self._task,) = self._bar.tasks
        self._bar.start()

    def begin(self, job: int, rule: str) -> None:
        """Note that a job is at work."""
        self._running[job] = rule
        self._update()

    def end(self, job: int, *, done: bool) -> None:
        """Note that a job has ended; it counts if it is ``done``."""
        rule = self._running.pop(job, "")
        if done and rule in self._work:
            done_jobs = self._task.fields["done"] + 1
            self._bar.update(self._task.id, advance=WEIGHTS.get(rule, 1), done=done_jobs)
        self._update()
        now = time.monotonic()
        if self._bar.disable and not self._bar.finished and now - self._shown >= INTERVAL_S:
            self._shown = now
            self._console.print(_state(self._task))

    def wait(self, why: str) -> None:
        """Note why what was submitted elsewhere does not begin; "" where it does."""
        self._waiting = why
        self._update()
        if self._bar.disable and why:
            self._console.print(_state(self._task))

    def _update(self) -> None:
        heaviest = max(self._running.values(), key=lambda rule: WEIGHTS.get(rule, 1), default="")
        self._bar.update(self._task.id, description=self._waiting or heaviest)

    def close(self) -> None:
        """Show the last state and how long it took."""
        self._bar.stop()
        self._console.print(f"{_share(self._task)}, {_clock(self._task)} in all")


class _State(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(_state(task), no_wrap=True, overflow="ellipsis")


def _state(task: Task) -> str:
    """Return what is done and at work, and the time left as the weight of what is done suggests."""
    left = "time left unknown yet"
    if task.percentage >= 5:
        left = f"about {_clock(task, 100 / task.percentage - 1)} left"
    return f"{_share(task)}, {left}  {task.description}"


def _share(task: Task) -> str:
    return f"{task.percentage:3.0f}%  {task.fields['done']} of {task.fields['jobs']} jobs"


def _clock(task: Task, times: float = 1.0) -> timedelta:
    return timedelta(seconds=round((task.elapsed or 0) * times))
