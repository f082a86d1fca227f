"""Runs commands in an environment of their own, and shows their output in a notebook."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import threading
import time
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
        self.environment = dict(os.environ)
        """Environment of the commands; the only place for secrets."""
        self._running: subprocess.Popen[str] | None = None

    def sessionscribe(self, *arguments: str, on_line: Callable[[str], None] | None = None) -> int:
        """Run `sessionscribe`, print its output or pass it to ``on_line``, and return the exit code."""
        own = {"PYTHONPATH": str(self.project / "scripts"), "PYTHONUNBUFFERED": "1"}
        command = [self.python, "-m", "sessionscribe.cli.main", *arguments]
        with self._start(command, self.environment | own) as process:
            for line in process.stdout or ():
                if on_line:
                    on_line(line)
                else:
                    print(line, end="", flush=True)
        return process.returncode

    def quiet(self, command: Sequence[str], what: str) -> list[str]:
        """Run a command, showing only the time it takes; return its output as lines."""
        begun, lines, line = time.monotonic(), list[str](), LiveLine()
        with self._start(command, self.environment) as process:
            reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()), daemon=True)
            reader.start()
            while process.poll() is None:
                line.show(f"{what}: {time.monotonic() - begun:.0f} s")
                time.sleep(1)
            reader.join()
        return [line.rstrip() for line in lines]

    def interrupt(self) -> bool:
        """Ask the running command to end; return whether there is one."""
        running = self._running
        if running is None or running.poll() is not None:
            return False
        running.terminate()
        return True

    def _start(self, command: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[str]:
        self._running = subprocess.Popen(
            command,
            cwd=self.project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        return self._running
