"""Runs started from a page: separate processes that outlive the server."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from sessionscribe.core import locks
from sessionscribe.jobs import workspace
from sessionscribe.jobs.workspace import Owner

LOG = Path("logs/run/serve.log")
TAIL_BYTES = 8000
TELLING = re.compile(r" *\d+% |sessionscribe: |Stopped|Nothing to do|missing: ")
"""The beginning of log lines about progress or errors, as opposed to settings and results."""


class Runs:
    """The runs of a project, one at a time.

    Args:
        root: the project's folder.
        options: the profile and settings that the server was started with, for every run.
    """

    def __init__(self, root: Path, options: Sequence[str]) -> None:
        self.root, self.options = root, list(options)
        self._starting = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, sessions: Iterable[str] = (), stage: str = "") -> bool:
        """Start a run of sessions (empty: all) up to a stage ("": all); return False if a run is active."""
        chosen = [word for name in sessions for word in ("--session", name)]
        return self._start("run", *self.options, *chosen, *(["--stage", stage] if stage else []))

    def scan(self) -> bool:
        """Look for new recordings, as batches do; return False if a run is active."""
        return self._start("batch", "scan", *self.options)

    def _start(self, *arguments: str) -> bool:
        with self._starting:
            if self.state():
                return False
            log = self.root / LOG
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("wb") as out:
                with suppress(BlockingIOError):  # the run inherits it: see `writes_log`
                    locks.take(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "sessionscribe.cli.main", *arguments],
                    cwd=self.root,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            return True

    def stop(self) -> bool:
        """Interrupt the run on this machine, as Ctrl-C does; return False if there is none."""
        process = self.current()
        pids = [process.pid] if process else [owner.pid for owner in self._others() if owner.is_here]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
        return bool(pids)

    def state(self) -> str:
        """Return a line about the active run, whoever started it; "" if there is none."""
        others = () if self.current() else self._others()
        if self.current() or (others and self.writes_log()):
            return self.last_line() or "starting"
        return ", ".join(f"process {owner.pid} on {owner.host}" for owner in others)

    def writes_log(self) -> bool:
        """Return whether a run that a page started, possibly of an earlier server, still has its log open."""
        try:
            with (self.root / LOG).open("rb") as log:
                locks.take(log, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def _others(self) -> Collection[Owner]:
        return workspace.at_work(self.root / ".snakemake").values()

    def current(self) -> subprocess.Popen[bytes] | None:
        """Return the process of the active run, if this server started it."""
        return self._process if self._process and self._process.poll() is None else None

    def last_line(self) -> str:
        """Return the progress of the last run, or its error."""
        lines = reversed(last_lines(self.root / LOG))
        return next((line.strip() for line in lines if TELLING.match(line)), "")


def last_lines(log: Path) -> list[str]:
    """Return the last lines of a log; none if it cannot be read."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
