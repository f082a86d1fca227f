"""`sessionscribe run`: Snakemake with the everyday options, progress with an ETA, and a summary."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Any

from sessionscribe import workspace

FINISHED = re.compile(r"^Finished jobid: \d+ \(Rule: (\w+)\)")
REFUSED = re.compile(r"^\S+: error: (.+)")
MESSAGE = re.compile(r"^(sessionscribe|warm): ")
LOCKED = re.compile(r"^LockException\b")
STOPPED = re.compile(r"^(Terminating processes|Cancelling snakemake) on user request")
BUSY = os.EX_TEMPFAIL
"""The exit code where another run is at work in this folder, so that nothing was done."""
SIGNALLED = 128
"""What is added to the number of the signal that ended a run, as shells do it."""
FLAGS = "hntkfFlSDvpa"
"""Snakemake's short options that take no value: several may stand behind one dash, as in `-np`."""


def _asking(short: str, long: str) -> re.Pattern[str]:
    """Return what options match that are one of these: letters, and how long ones begin."""
    return re.compile(rf"-[{FLAGS}]*[{short}]|--({long})")


PLANS = _asking("n", "dry")
SHOWN_AS_IT_IS = _asking(
    "nhlSDv", "dry|help|l[iptu]|dag|d3dag|(rule|file)graph|report|unlock|(detailed-)?summary|version"
)
FINISHED_TOO = re.compile(rf"-[{FLAGS}]*[SD]|--(report|d?3?dag|(rule|file)graph|(detailed-)?summary)(=|$)")
"""Options that show the workflow as it is, not what is to do: finished work, too."""
# Options that say how much of a plan is shown.
DETAILS = _asking("qpSD", "quiet|printshellcmds|verbose|debug|dag|(rule|file)graph|(detailed-)?summary")
# What jobs cost beside one another, so that the ETA does not jump when the long ones begin.
WEIGHTS = {"transcribe_chunk": 10, "embed_chunk": 10, "convert_audio": 3, "plan_chunks": 3}
LOG = Path("logs/run/snakemake.log")
KEPT = 9


class Progress:
    """How much of the work is done, as a line every few seconds; in place on a terminal."""

    def __init__(self, work: Mapping[str, int], stream: IO[str]) -> None:
        self._work = work
        self._total = sum(count * WEIGHTS.get(rule, 1) for rule, count in work.items())
        self._jobs, self._done, self._jobs_done, self._last = sum(work.values()), 0, 0, ""
        self._stream, self._started, self._shown = stream, time.monotonic(), 0.0
        self._live = stream.isatty()

    def finish(self, rule: str) -> None:
        """Count a finished job, if it is of the work that was announced."""
        if rule not in self._work:
            return
        self._done += WEIGHTS.get(rule, 1)
        self._jobs_done += 1
        self._last = rule

    def show(self) -> None:
        """Show the state, if the last time was long enough ago."""
        now = time.monotonic()
        if self._jobs and now - self._shown >= (0.2 if self._live else 5.0):
            self._shown = now
            self._write(f"{self._state()}, {self._left(now)}  {self._last}")

    def say(self, line: str) -> None:
        """Show a line of its own."""
        self._stream.write(f"\r\033[K{line}\n" if self._live else f"{line}\n")
        self._stream.flush()

    def close(self) -> None:
        """Show the last state and how long it took."""
        if self._jobs:
            self.say(f"{self._state()}, {_clock(time.monotonic() - self._started)} in all")

    def _state(self) -> str:
        return f"{min(1.0, self._done / self._total):4.0%}  {self._jobs_done} of {self._jobs} jobs"

    def _left(self, now: float) -> str:
        """Guess the time that is left from the weight of what is done."""
        if self._done < 0.05 * self._total:
            return "time left unknown yet"
        left = (now - self._started) * max(0, self._total - self._done) / self._done
        return f"about {_clock(left)} left"

    def _write(self, text: str) -> None:
        self._stream.write(f"\r\033[K{text}" if self._live else f"{text.rstrip()}\n")
        self._stream.flush()


def only_shows(arguments: Sequence[str]) -> bool:
    """Return whether Snakemake, given these arguments, shows something and makes nothing."""
    return any(map(SHOWN_AS_IT_IS.match, arguments))


def shows_finished(arguments: Sequence[str]) -> bool:
    """Tell whether Snakemake, given these arguments, shows finished work."""
    return any(map(FINISHED_TOO.match, arguments))


def snakemake(
    arguments: Sequence[str],
    work: Mapping[str, int],
    *,
    told: Collection[str] = (),
    stream: IO[str] = sys.stdout,
) -> int:
    """Run Snakemake in this folder; return its exit code, ``BUSY``, or ``SIGNALLED`` plus a signal's number.

    Its own output goes to ``LOG`` (those of runs before: see ``_keep_log``); ``stream`` gets the progress,
    every message of a failed job (those that were ``told`` before are not repeated) and, if Snakemake itself
    could not go on, the end of its output. Requests to show something (``-n``, ``--dag`` …) are passed
    through as they are; of a plan only the table, unless more is asked for.
    """
    command = [sys.executable, "-m", "snakemake", *arguments]
    if any(map(PLANS.match, arguments)) and not any(map(DETAILS.match, arguments)):
        command += ["--quiet", "rules", "host", "reason"]
    if only_shows(arguments):
        return subprocess.run(command, check=False).returncode
    LOG.parent.mkdir(parents=True, exist_ok=True)
    _keep_log()
    progress = Progress(work, stream)
    messages, telling, locked, stopped = 0, False, False, 0
    with LOG.open("wb") as log, LOG.open(encoding="utf-8", errors="replace") as said:
        # A file, not a pipe: if this front dies, Snakemake goes on.
        child = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=_heed_interrupts,  # noqa: PLW1509 -- there are no threads here
        )
        with _passing_signals_to(child) as signals:
            for line in _follow(child, said):
                finished = FINISHED.match(line)
                locked = locked or bool(LOCKED.match(line))
                if STOPPED.match(line):  # by somebody who knows its number, if not by us
                    stopped = signal.SIGINT
                stopped = signals.got or stopped
                if finished and finished[1] != "all":
                    progress.finish(finished[1])
                elif MESSAGE.match(line) or (telling and line.startswith("  ")):
                    telling = line not in told and not stopped  # what was interrupted is no failure
                    if telling:
                        messages += 1
                        progress.say(line)
                elif line:
                    telling = False
                progress.show()
        if child.returncode and locked:
            progress.say(_busy())
            return BUSY
        progress.close()
        if child.returncode and stopped:
            progress.say("Stopped. What is finished stays: run again to go on.")
            return SIGNALLED + stopped
        if child.returncode and not messages:
            said.seek(0)
            stream.write(_why(said.read().splitlines()))
    return child.returncode


def _busy() -> str:
    """Say who is at work here; Snakemake's own words advise to take its lock away."""
    number = workspace.at_work(Path(".snakemake"))
    which, how = (f" (process {number})", f", or stop it: kill -INT {number}") if number else ("", "")
    return f"sessionscribe: another run is at work here{which}. Wait until it has finished{how}"


def _keep_log() -> None:
    """Give the log of the run before another name, a number from 1 on; a run that is at work goes on in it.

    Only the last few are kept, and what Snakemake itself keeps of all runs.
    """
    names = [LOG, *(LOG.with_suffix(f".{number}.log") for number in range(1, KEPT + 1))]
    for older, newer in reversed(list(zip(names[1:], names[:-1], strict=True))):
        with contextlib.suppress(FileNotFoundError):
            newer.replace(older)


def _why(lines: Sequence[str]) -> str:
    """Return the end of Snakemake's output; of an option that it does not know, the line that says so."""
    if lines and (refused := REFUSED.search(lines[-1])):
        return f"sessionscribe: {refused[1]} (`snakemake --help` lists what it takes)\n"
    return "\n".join(lines[-20:]) + f"\n(all of it: {LOG})\n"


def _heed_interrupts() -> None:
    """Undo what a background shell leaves to its children: SIGINT is how we tell Snakemake to stop."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _follow(child: subprocess.Popen[Any], log: IO[str]) -> Iterator[str]:
    """Yield the lines of the log as they come, an empty one when none came, until the process has ended."""
    rest = ""
    while True:
        ended = child.poll() is not None
        *lines, rest = (rest + log.read()).split("\n")
        yield from lines
        if ended:
            return
        yield ""
        time.sleep(0.2)


class _passing_signals_to:  # noqa: N801 -- reads as a sentence
    """While open, SIGINT and SIGTERM reach the child and are not the end of us: it cleans up, we report."""

    def __init__(self, child: subprocess.Popen[Any]) -> None:
        self._child = child
        self._before: dict[int, Any] = {}
        self.got = 0  # the last one

    def __enter__(self) -> _passing_signals_to:
        self._before = {
            number: signal.signal(number, self._pass) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def _pass(self, number: int, _frame: FrameType | None) -> None:
        self.got = number
        # On a terminal Ctrl-C reaches the whole group by itself.
        if number != signal.SIGINT or not sys.stdin.isatty():
            self._child.send_signal(signal.SIGINT)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
