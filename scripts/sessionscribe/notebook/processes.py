"""Runs commands in an environment of their own, and shows their output in a notebook."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PROGRESS = re.compile(r"\s*\d+%  ")
"""The beginning of a run's progress lines."""


class LiveLine:
    """A few lines of text that ``show`` replaces, so that hours of progress do not flood the output."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._text = ""

    def show(self, *lines: str) -> None:
        """Replace the lines that are shown."""
        text = "\n".join(line for line in lines if line)
        if text == self._text:
            return
        self._text = text
        try:
            display: Any = importlib.import_module("IPython.display").display
        except ImportError:
            print(text, flush=True)
            return
        content = {"text/plain": text}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)


class Processes:
    """Runs commands, one at a time, in the folder of the clone and with the interpreter ``python``."""

    def __init__(self, project: Path, python: str) -> None:
        self.project, self.python = project, python
        own = {"PYTHONPATH": str(project / "scripts"), "PYTHONUNBUFFERED": "1"}
        self.environment = os.environ | own
        """Environment of the commands; the only place for secrets."""
        self._running: subprocess.Popen[str] | None = None

    def sessionscribe(self, *arguments: str, on_line: Callable[[str], None] | None = None) -> int:
        """Run `sessionscribe`, print its output or pass it to ``on_line``, and return the exit code."""
        command = [self.python, "-m", "sessionscribe.cli.main", *arguments]
        return self.run(command, on_line or (lambda line: print(line, end="", flush=True)))

    def run(self, command: Sequence[str], on_line: Callable[[str], None]) -> int:
        """Run a command, pass each line of its output to ``on_line``, and return the exit code."""
        with subprocess.Popen(
            command,
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as self._running:
            for line in self._running.stdout or ():
                on_line(line)
        return self._running.returncode

    def interrupt(self) -> bool:
        """Ask the running command to end; return whether there is one."""
        running = self._running
        if running is None or running.poll() is not None:
            return False
        running.terminate()
        return True
