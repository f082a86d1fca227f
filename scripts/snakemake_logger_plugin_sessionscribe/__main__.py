"""Snakemake, as `sessionscribe run` starts it: its exit code says what ended it (`LogHandler.exit_code`)."""

import io
import os
import signal
import sys
import threading
import time
from contextlib import suppress

INTERRUPTED = 128 + signal.SIGINT


class Terminal(io.TextIOWrapper):
    """Standard error that goes to a file: where that disk is full, lines are lost, and not the run."""

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError):
            super().write(text)
        return len(text)


def stop_with(parent: int) -> None:
    """Interrupt this process when its parent is gone, so that the machines that it started stop."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGINT)


if sys.stderr and not sys.stderr.isatty():
    sys.stderr = Terminal(sys.stderr.buffer, sys.stderr.encoding, "backslashreplace", line_buffering=True)
threading.Thread(target=stop_with, args=(os.getppid(),), daemon=True).start()
try:
    from snakemake import cli

    from snakemake_logger_plugin_sessionscribe.handler import LogHandler

    cli.main()
except SystemExit as end:
    sys.exit(LogHandler.exit_code if end.code == 1 else end.code)
except KeyboardInterrupt:
    if "LogHandler" not in globals() or LogHandler.exit_code != INTERRUPTED:  # else it says so
        print("Stopped before any work was begun.", file=sys.stderr)
    sys.exit(INTERRUPTED)
