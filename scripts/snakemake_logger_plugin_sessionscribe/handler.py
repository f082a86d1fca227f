"""Shows what Snakemake reports: progress, warnings, a line for each failure."""

from __future__ import annotations

import logging
import math
import os
import re
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from sessionscribe.cli.workflow import BUSY, SIGNALLED
from sessionscribe.core.errors import DISK, describe, exit_code
from sessionscribe.jobs import workspace

if TYPE_CHECKING:  # most starts of Snakemake show nothing
    from rich.console import Console

    from snakemake_logger_plugin_sessionscribe.progress import Progress


ONE_SIGNAL_S = 2.0
TERMINATED = "Will exit after finishing currently running jobs (scheduler)"
"""What Snakemake says when it gets SIGTERM."""
UNTIMED = "Missing metadata for file"
"""What a report says of each file that was copied or pulled."""
OURS = re.compile(r'WorkflowError in file ".*/rules/common\.smk", line \d+:\n(.*)')
SYSTEM = re.compile(rf"\[Errno ({'|'.join(map(str, DISK))})\] [^:\n]*(?:: '([^'\n]*)')?")


class LogHandler(LogHandlerBase):
    """Shows progress, warnings and a line for each failure; everything else is in Snakemake's own log file.

    For a dry run, and with ``--verbose`` or ``--debug-dag``, Snakemake prints what it always does.
    """

    exit_code: ClassVar[int] = 1
    """What a failed run should end with: of the codes of all that went wrong, the largest."""
    audio: ClassVar[Callable[[], Mapping[str, Mapping[str, float]]]] = dict
    """Tells, by rule and first output, how many seconds of audio jobs work on; the workflow knows."""

    writes_to_file = has_filter = has_formatter = needs_rulegraph = False

    def __post_init__(self) -> None:
        self._progress: Progress | None = None
        self._remarks: list[str] = []  # shown if nothing is run and nothing goes wrong
        self._errors: list[str] = []  # of the workflow as a whole: the last one ended it
        self._idle, self._failed, self._interrupted, self._begun = True, False, False, False
        self._terminated, self._said, self._interrupted_at = False, "", -math.inf
        signal.signal(signal.SIGINT, self._interrupt)
        # A full disk costs lines of the log; a traceback of each helps nobody.
        logging.raiseExceptions = False

    @property
    def writes_to_stream(self) -> bool:
        """Whether this plugin prints, and Snakemake does not."""
        asked = self.common_settings
        return not (asked.dryrun or asked.verbose or asked.debug_dag)

    def _interrupt(self, *_: object) -> None:
        """Interrupt, once: what is sent to the group is passed on, too, and would end the cleaning up."""
        last, self._interrupted_at = self._interrupted_at, time.monotonic()
        if self._interrupted_at - last > ONE_SIGNAL_S:
            self._interrupted, LogHandler.exit_code = True, SIGNALLED + signal.SIGINT
            raise KeyboardInterrupt

    def emit(self, record: logging.LogRecord) -> None:
        """Show what a record tells, or keep it for the end."""
        event = getattr(record, "event", None)
        with suppress(OSError):  # nobody listens any more: the run goes on
            if self._interrupted:
                self._end_progress()
            if event is None or not self._interrupted:  # a job that fails from now on is no failure
                self._take(event, record, record.__dict__)

    def _take(self, event: LogEvent | None, record: logging.LogRecord, told: Mapping[str, Any]) -> None:
        match event:
            case LogEvent.WORKFLOW_STARTED:
                self._remarks.clear()
            case LogEvent.RUN_INFO:
                self._begin_progress(told["stats"])
            case LogEvent.JOB_INFO if self._progress:
                output = str(next(iter(told["output"]), ""))
                self._progress.begin(told["jobid"], told["rule_name"], _about(told), output)
            case LogEvent.JOB_FINISHED if self._progress:
                self._progress.end(told["job_id"], done=True)
            case None if self._progress and hasattr(record, "waiting"):
                self._progress.wait(record.waiting)
            case LogEvent.JOB_ERROR:
                self._take_job_error(told)
            case LogEvent.GROUP_ERROR:
                rules = ", ".join(dict.fromkeys(job["rule_name"] for job in told["job_error_info"]))
                self._say(f"sessionscribe: a submission failed: {rules}", told["aux_logs"])
            case LogEvent.ERROR if told["exception"] == "LockException":
                LogHandler.exit_code = BUSY
                self._say(_busy())
            case LogEvent.ERROR if told["exception"] == "WorkflowError":
                self._errors.append(_plain(record.getMessage()))
            case None if record.getMessage().startswith(UNTIMED):  # one line for all of them
                self._say("sessionscribe: some files have no run times, because they were made elsewhere")
            case None if record.levelno < logging.WARNING:
                self._take_remark(record.getMessage())
            case LogEvent.ERROR | None if record.module != "job_scheduler":  # which repeats that jobs failed
                LogHandler.exit_code = max(LogHandler.exit_code, getattr(record, "code", 1))
                self._say(_plain(record.getMessage()))

    def _take_remark(self, text: str) -> None:
        if TERMINATED in text:
            self._terminated, LogHandler.exit_code = True, SIGNALLED + signal.SIGTERM
        elif self._idle:
            self._remarks.append(text)

    def _take_job_error(self, told: Mapping[str, Any]) -> None:
        self._failed = True
        if self._progress:
            self._progress.end(told["jobid"], done=False)
        if told["rule_msg"] and not told["indent"]:  # else it spoke for itself, or its group does
            self._say(f"sessionscribe: {told['rule_name']} failed: {told['rule_msg']}", told["log"])

    def _begin_progress(self, stats: Mapping[str, int]) -> None:
        self._idle, self._begun = False, True
        work = {rule: count for rule, count in stats.items() if rule not in ("all", "total")}
        if not work:
            self._say("Nothing to do.")
        elif self.writes_to_stream:
            from snakemake_logger_plugin_sessionscribe.progress import Progress  # noqa: PLC0415

            self._progress = Progress(work, self._console, LogHandler.audio())

    def _end_progress(self) -> None:
        if self._progress:
            self._progress.close()
        self._progress = None

    @cached_property
    def _console(self) -> Console:
        from rich.console import Console  # noqa: PLC0415

        return Console(stderr=True, soft_wrap=True, markup=False, emoji=False, highlight=False)

    def _say(self, text: str, logs: Sequence[str] = ()) -> None:
        self._idle = False
        if self.writes_to_stream and text != self._said:
            self._console.print(f"{text} (log: {', '.join(logs)})" if logs else text)
        self._said = text

    def close(self) -> None:
        """Show the last state and what ended the run; later calls show nothing."""
        self._end_progress()
        if self._failed:
            self._errors[-1:] = []  # it only says that a job failed
        if self._terminated:
            self._errors = ["Stopped (SIGTERM). What is finished stays: run again to go on."]
        if self._interrupted:
            begun = "Stopped. What is finished stays: run again to go on."
            self._errors = [begun if self._begun else "Stopped before any work was begun."]
        for text in self._errors or self._remarks * self._idle:
            self._say(text)
        self._errors, self._remarks, self._interrupted = [], [], False
        super().close()


def _plain(text: str) -> str:
    """Return what Snakemake says of an error as one line, where it is ours or a disk's: that ends with 74."""
    if ours := OURS.match(text):
        return f"sessionscribe: {ours[1]}"
    if found := SYSTEM.search(text):
        # Of what it does not name, it is the folder with the least room.
        folders = [name for name in (".", ".snakemake", "logs", "results") if os.path.exists(name)]
        path = found[2] or min(folders, key=lambda name: os.statvfs(name).f_bavail)
        error = OSError(int(found[1]), os.strerror(int(found[1])), path)
        LogHandler.exit_code = max(LogHandler.exit_code, exit_code(error))
        return f"sessionscribe: {describe(error, str(Path.cwd()))}"
    return text


def _about(told: Mapping[str, Any]) -> str:
    """Return what a job is about: session, track and number, without the keys in the names of folders."""
    return " ".join(str(value) for name, value in told["wildcards"].items() if name != "fp")


def _busy() -> str:
    """Say who is at work here; Snakemake's own words advise to take its lock away."""
    who, how = "", ""
    for note, owner in workspace.at_work(Path(".snakemake")).items():
        if owner.is_here:
            who, how = f" (process {owner.pid})", f", or stop it: kill -INT {owner.pid}"
        else:
            who = f" (process {owner.pid} on {owner.host})"
            how = f"; if it has died there, run: rm '{note}'"
    return f"sessionscribe: another run is at work here{who}. Wait until it has finished{how}"
