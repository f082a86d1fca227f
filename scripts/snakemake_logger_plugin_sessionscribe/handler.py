"""Shows what Snakemake reports: progress, warnings, and one line for each failure."""

from __future__ import annotations

import errno
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
"""Snakemake's message after SIGTERM."""
UNTIMED = "Missing metadata for file"
"""Beginning of a report's warning about each file that was copied or pulled."""
OURS = re.compile(r'WorkflowError in file ".*/rules/common\.smk", line \d+:\n(.*)')
SYSTEM = re.compile(r"^\S.*\[Errno (\d+)\] [^:\n]*(?:: '([^'\n]*)')?", re.MULTILINE)
PROTECTED = re.compile(r"Write-protected output files.*?affected files:\n +(.*)", re.DOTALL)


class LogHandler(LogHandlerBase):
    """Shows progress, warnings and a line for each failure; Snakemake's own log file has everything.

    For a dry run, and with ``--verbose`` or ``--debug-dag``, Snakemake prints what it always does.
    """

    exit_code: ClassVar[int] = 1
    """The exit code of a failed run: the largest one of all failures."""
    audio: ClassVar[Callable[[], Mapping[str, Mapping[str, float]]]] = dict
    """Returns the seconds of audio of each job, by rule and first output; set by the workflow."""

    writes_to_file = has_filter = has_formatter = needs_rulegraph = False

    def __post_init__(self) -> None:
        self._progress: Progress | None = None
        self._remarks: list[str] = []  # shown if nothing is run and nothing fails
        self._errors: list[str] = []  # of the whole workflow; the last one ended it
        self._said_nothing, self._failed, self._begun = True, False, False
        self._terminated, self._interrupted, self._interrupted_at = False, False, -math.inf
        self._last_said = ""
        signal.signal(signal.SIGINT, self._interrupt)
        logging.raiseExceptions = False  # on a full disk, lines of the log are lost without tracebacks

    @property
    def writes_to_stream(self) -> bool:
        """Whether this plugin prints instead of Snakemake."""
        settings = self.common_settings
        return not (settings.dryrun or settings.verbose or settings.debug_dag)

    def _interrupt(self, *_: object) -> None:
        """Raise KeyboardInterrupt once: a second signal, passed on by a parent, would end the clean-up."""
        last, self._interrupted_at = self._interrupted_at, time.monotonic()
        if self._interrupted_at - last > ONE_SIGNAL_S:
            self._interrupted, LogHandler.exit_code = True, SIGNALLED + signal.SIGINT
            raise KeyboardInterrupt

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record, or keep it for the end."""
        event = getattr(record, "event", None)
        with suppress(OSError):  # nobody reads the output any more: the run goes on
            if self._interrupted:
                self._end_progress()
            if event is None or not self._interrupted:  # jobs that were interrupted have not failed
                self._take(event, record, record.__dict__)

    def _take(self, event: LogEvent | None, record: logging.LogRecord, about: Mapping[str, Any]) -> None:
        match event:
            case LogEvent.WORKFLOW_STARTED:
                self._remarks.clear()
            case LogEvent.RUN_INFO:
                self._begin_progress(about["stats"])
            case LogEvent.JOB_INFO if self._progress:
                # The keys in the names of folders (`fp`) mean nothing to users.
                values = (str(value) for name, value in about["wildcards"].items() if name != "fp")
                output = str(next(iter(about["output"]), ""))
                self._progress.begin(about["jobid"], about["rule_name"], " ".join(values), output)
            case LogEvent.JOB_FINISHED if self._progress:
                self._progress.end(about["job_id"], done=True)
            case None if self._progress and hasattr(record, "waiting"):
                self._progress.wait(record.waiting)
            case LogEvent.JOB_ERROR:
                self._take_job_error(about)
            case LogEvent.GROUP_ERROR:
                rules = ", ".join(dict.fromkeys(job["rule_name"] for job in about["job_error_info"]))
                self._say(f"sessionscribe: a submission failed: {rules}", about["aux_logs"])
            case LogEvent.ERROR if about["exception"] == "LockException":
                LogHandler.exit_code = BUSY
                self._say(_busy())
            case LogEvent.ERROR if about["exception"] == "WorkflowError":
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
        elif self._said_nothing:
            self._remarks.append(text)

    def _take_job_error(self, about: Mapping[str, Any]) -> None:
        self._failed = True
        if self._progress:
            self._progress.end(about["jobid"], done=False)
        if about["rule_msg"] and not about["indent"]:  # else the job or its group has reported it
            self._say(f"sessionscribe: {about['rule_name']} failed: {about['rule_msg']}", about["log"])

    def _begin_progress(self, stats: Mapping[str, int]) -> None:
        self._said_nothing, self._begun = False, True
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
        self._said_nothing = False
        if self.writes_to_stream and text != self._last_said:
            self._console.print(f"{text} (log: {', '.join(logs)})" if logs else text)
        self._last_said = text

    def close(self) -> None:
        """Show the last state and what ended the run; another call shows nothing."""
        self._end_progress()
        if self._failed:
            self._errors[-1:] = []  # it only says that a job failed
        if self._terminated:
            self._errors = ["Stopped (SIGTERM). What is finished stays: run again to go on."]
        if self._interrupted:
            begun = "Stopped. What is finished stays: run again to go on."
            self._errors = [begun if self._begun else "Stopped before any work was begun."]
        for text in self._errors or self._remarks * self._said_nothing:
            self._say(text)
        self._errors, self._remarks, self._interrupted = [], [], False
        super().close()


def _plain(text: str) -> str:
    """Return an error message of Snakemake, as one line if it is about our error or one of the system."""
    if ours := OURS.match(text):
        return f"sessionscribe: {ours[1]}"
    number, path = 0, ""
    if protected := PROTECTED.search(text):
        number, path = errno.EACCES, protected[1].splitlines()[0]
    for found in SYSTEM.finditer(text):  # the last one ended the run
        number, path = int(found[1]), found[2] or ""
    if not path and number in DISK:  # Snakemake names no file: the folder with the least room is meant
        folders = [name for name in (".", ".snakemake", "logs", "results") if os.path.exists(name)]
        path = min(folders, key=lambda name: os.statvfs(name).f_bavail)
    if not path:
        return text
    error = OSError(number, os.strerror(number), path)
    LogHandler.exit_code = max(LogHandler.exit_code, exit_code(error))
    return f"sessionscribe: {describe(error, str(Path.cwd()))}"


def _busy() -> str:
    """Return who else is running here; Snakemake's own message advises to remove its lock."""
    who, how = "", ""
    for note, owner in workspace.at_work(Path(".snakemake")).items():
        if owner.is_here:
            who, how = f" (process {owner.pid})", f", or stop it: kill -INT {owner.pid}"
        else:
            who = f" (process {owner.pid} on {owner.host})"
            how = f"; if it has died there, run: rm '{note}'"
    return f"sessionscribe: another run is at work here{who}. Wait until it has finished{how}"
