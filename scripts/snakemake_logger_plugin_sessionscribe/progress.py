"""The progress of a run: a live line on a terminal, and otherwise a plain line from time to time."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task
from rich.progress import Progress as Bar
from rich.text import Text

JOB_S = 0.2
COSTS = {"transcribe_chunk": 0.3, "embed_chunk": 0.1, "convert_audio": 0.005, "plan_chunks": 0.01}
"""Relative costs: every job costs ``JOB_S``, and jobs of these rules so much more per second of audio."""
USUAL_S = 60.0
"""Seconds of audio of a job, if unknown."""
DONE = {
    "transcribe_chunk": "transcribed",
    "embed_chunk": "analysed for speakers",
    "convert_audio": "converted",
}
"""What jobs do with audio; shown for the first of these rules that has jobs."""
WIDE = 120
"""Columns from which the bar and all figures fit on a terminal."""
INTERVAL_S, SILENT_S = 10.0, 60.0
"""The least and the greatest distance of plain lines."""


class Progress:
    """The state of a run's jobs, shown until ``close``.

    Args:
        work: the number of jobs of each rule.
        console: where to show it.
        audio: for each rule, the seconds of audio of its jobs by their first output.
    """

    def __init__(
        self,
        work: Mapping[str, int],
        console: Console,
        audio: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        self._work, self._console, self._audio = work, console, audio or {}
        self._running: dict[int, tuple[str, str, float, float]] = {}  # rule, text, seconds of audio, start
        self._busy_s = 0.0  # of the jobs that are done
        self._shown, self._ended, self._lock = time.monotonic(), threading.Event(), threading.Lock()
        self._usual = {rule: self._usual_s(rule) for rule in work}
        self._rule = next((rule for rule in DONE if work.get(rule) and self._audio.get(rule)), "")
        self._waiting = ""
        live, wide = console.is_interactive, console.width >= WIDE
        self._bar = Bar(
            *([BarColumn(20)] if wide else []),
            _State(wide=wide),
            console=console,
            transient=True,
            refresh_per_second=2,
            disable=not live,
        )
        self._bar.add_task(
            "",
            total=sum(count * _cost(rule, self._usual[rule]) for rule, count in work.items()),
            done=0,
            jobs=sum(work.values()),
            heard_s=0.0,
            audio_s=work.get(self._rule, 0) * self._usual.get(self._rule, 0.0),
            what=DONE.get(self._rule, ""),
            ends=None,
        )
        (self._task,) = self._bar.tasks
        self._bar.start()
        if not live:
            threading.Thread(target=self._print_regularly, daemon=True, name="progress").start()

    def _usual_s(self, rule: str) -> float:
        """Return the mean length of audio of a rule's jobs, since the run may have only some of them."""
        known = self._audio.get(rule)
        return sum(known.values()) / len(known) if known else USUAL_S

    def begin(self, job: int, rule: str, about: str = "", output: str = "") -> None:
        """Record that a job has begun; ``about`` is shown, and ``output`` is its first output."""
        audio_s = self._audio.get(rule, {}).get(output, self._usual.get(rule, USUAL_S))
        self._running[job] = (rule, f"{rule} {about}".rstrip(), audio_s, time.monotonic())
        self._update()

    def end(self, job: int, *, done: bool) -> None:
        """Record that a job has ended, and whether it is ``done``."""
        now = time.monotonic()
        rule, _, audio_s, began = self._running.pop(job, ("", "", 0.0, now))
        if done and rule in self._work:
            fields = self._task.fields
            heard_s = fields["heard_s"] + audio_s * (rule == self._rule)
            self._bar.update(
                self._task.id, advance=_cost(rule, audio_s), done=fields["done"] + 1, heard_s=heard_s
            )
            self._busy_s += now - began
            # Between two jobs the estimate only counts down, so that a long job does not make it grow.
            if self._task.percentage >= 5:
                self._bar.update(self._task.id, ends=now + self._left_s(now))
        self._update()
        self._print(INTERVAL_S)

    def _left_s(self, now: float) -> float:
        """Estimate the time left; jobs at work count in part, or the estimate would jump when they end."""
        speed = self._task.completed / max(self._busy_s, 1e-9)
        partly = (min(_cost(rule, s), speed * (now - began)) for rule, _, s, began in self._running.values())
        done = self._task.completed + sum(partly)
        return (self._task.elapsed or 0.0) * max(0.0, (self._task.total or 0.0) / done - 1)

    def wait(self, why: str) -> None:
        """Record why submissions do not begin; "" if none is waiting."""
        self._waiting = why
        self._update()
        if self._bar.disable and why:
            self._console.print(_state(self._task))

    def _update(self) -> None:
        most = max(
            self._running.values(), key=lambda found: _cost(found[0], found[2]), default=("", "", 0.0, 0.0)
        )
        others = len(self._running) - 1
        at_work = most[1] + f" and {others} more" * (others > 0)
        self._bar.update(self._task.id, description=self._waiting or at_work)

    def _print(self, after_s: float) -> None:
        """Print a plain line if the last one is at least so old."""
        with self._lock:
            now = time.monotonic()
            if self._bar.disable and not self._bar.finished and now - self._shown >= after_s:
                self._shown = now
                self._console.print(_state(self._task))

    def _print_regularly(self) -> None:
        while not self._ended.wait(min(SILENT_S, 1.0)):
            self._print(SILENT_S)

    def close(self) -> None:
        """Show the last state and the time since the start."""
        self._ended.set()
        self._bar.stop()
        figures = [*_done(self._task), f"{_clock(self._task.elapsed or 0.0)} in all"]
        self._console.print(f"{_percent(self._task)}  {', '.join(figures)}")


class _State(ProgressColumn):
    """The state; on a narrow terminal, what matters most comes first."""

    def __init__(self, *, wide: bool) -> None:
        self._wide = wide
        super().__init__()

    def render(self, task: Task) -> Text:
        return Text(_state(task, wide=self._wide), no_wrap=True, overflow="ellipsis")


def _cost(rule: str, audio_s: float) -> float:
    return JOB_S + COSTS.get(rule, 0.0) * audio_s


def _state(task: Task, *, wide: bool = True) -> str:
    """Return what is done and running, and the time left, estimated from the cost of what is done."""
    left, ends = "time left not known yet", task.fields["ends"]
    if ends is not None:
        left_s = ends - time.monotonic()
        left = f"about {_clock(left_s)} left" if left_s > -1 else "takes longer than estimated"
    figures = [*_done(task), left] if wide else [left, _done(task)[-1]]
    return f"{_percent(task)}  {', '.join(figures)}  {task.description}".rstrip()


def _percent(task: Task) -> str:
    return f"{min(task.percentage, 100):3.0f}%"


def _done(task: Task) -> list[str]:
    """Return how many jobs are done, and how much audio if that is known."""
    done = task.fields
    audio = [f"{_clock(done['heard_s'])} of {_clock(done['audio_s'])} {done['what']}"] * bool(done["what"])
    return [f"{done['done']} of {done['jobs']} jobs", *audio]


def _clock(seconds: float) -> timedelta:
    return timedelta(seconds=max(0, round(seconds)))
