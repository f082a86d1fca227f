"""Runs that the page starts and stops: a process of its own, which goes on when the server ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from sessionscribe.core.files import write_text

NOTE = Path(".sessionscribe/serve-run.json")
LOG = Path("logs/run/serve.log")


@dataclass(frozen=True)
class Run:
    """A run that was started here: the process (with the time of its start) and its last line."""

    pid: int
    started: float
    sessions: tuple[str, ...]
    line: str = ""


class Runs:
    """The one run at a time of a project.

    Args:
        root: the project's folder.
        arguments: options of every run: the profile and settings files that the server was started with.
    """

    def __init__(self, root: Path, arguments: Sequence[str]) -> None:
        self.root, self.arguments = root, list(arguments)

    def start(self, sessions: Sequence[str] = (), stage: str = "") -> bool:
        """Start a run of these sessions (none: of all); return False where one is at work already.

        Args:
            sessions: names from the manifest.
            stage: the last stage; "" for all.
        """
        if self.current():
            return False
        command = [sys.executable, "-m", "sessionscribe.cli.main", "run", *self.arguments]
        for name in sessions:
            command += ["--session", name]
        if stage:
            command += ["--stage", stage]
        log = self.root / LOG
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        run = Run(process.pid, psutil.Process(process.pid).create_time(), tuple(sessions))
        write_text(self.root / NOTE, json.dumps(asdict(run)) + "\n")
        return True

    def stop(self) -> bool:
        """Ask the run to end, as Ctrl-C does; return False where none is at work."""
        run = self.current()
        if run is None:
            return False
        os.kill(run.pid, signal.SIGINT)
        return True

    def current(self) -> Run | None:
        """Return the run that is at work, if the page started one."""
        try:
            noted = json.loads((self.root / NOTE).read_bytes())
            process = psutil.Process(noted["pid"])
            if process.create_time() != noted["started"] or process.status() == psutil.STATUS_ZOMBIE:
                self._reap(noted["pid"])
                return None
        except (OSError, ValueError, KeyError, psutil.Error):
            return None
        return Run(noted["pid"], noted["started"], tuple(noted["sessions"]), self.last_line())

    def last_line(self) -> str:
        """Return what the last run said last."""
        try:
            with (self.root / LOG).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 2000))
                lines = file.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def wait(self, seconds: float) -> bool:
        """Wait until no run is at work; return False where it took longer."""
        until = time.monotonic() + seconds
        while self.current():
            if time.monotonic() > until:
                return False
            time.sleep(0.1)
        return True

    def _reap(self, pid: int) -> None:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return
