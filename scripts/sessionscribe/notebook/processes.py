"""Commands of ours, run in their own environment, as the cells of a notebook show them."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sessionscribe.notebook.live_line import LiveLine


class Processes:
    """Starts commands, one at a time.

    Args:
        project: the clone; commands run in its folder, by its code.
        python: the interpreter of their environment.
    """

    def __init__(self, project: Path, python: str) -> None:
        self.project, self.python = project, python
        self.environment = dict(os.environ)
        """What commands get; secrets go here and nowhere else."""
        self._running: subprocess.Popen[str] | None = None

    def sessionscribe(self, *arguments: str, on_line: Callable[[str], None] | None = None) -> int:
        """Run `sessionscribe`, and show what it says, or hand it to ``on_line``; return its exit code."""
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
        """Run a command that says little, with a clock beside it; return the lines that it printed."""
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
        """Ask what runs to end; return whether something does."""
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
