"""Runs Snakemake for `sessionscribe run`; the exit code says what ended it (`LogHandler.exit_code`)."""

import functools
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

INTERRUPTED = 128 + signal.SIGINT
tables: list[str] = []


def or_lose(write: Callable[..., object], *text: str) -> int:
    """Write or flush; if the disk is full or the reader is gone, lose the text instead of ending the run."""
    with suppress(OSError):
        write(*text)
    return sum(map(len, text))


def is_new(record: logging.LogRecord) -> bool:
    """Return False for a repeated table of jobs, and for reasons after `--quiet reason`."""
    if not hasattr(record, "stats"):
        return not ("reason" in sys.argv and record.getMessage().startswith("Reasons:\n"))
    tables.append(record.getMessage())
    return tables.count(record.getMessage()) == 1


def stop_with(parent: int) -> None:
    """Interrupt this process when its parent is gone, so that the machines that it started are stopped."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGINT)


for stream in filter(None, (sys.stdout, sys.stderr)):
    stream.write = functools.partial(or_lose, stream.write)
    stream.flush = functools.partial(or_lose, stream.flush)
logging.getLogger("snakemake.logging").addFilter(is_new)
threading.Thread(target=stop_with, args=(os.getppid(),), daemon=True).start()
try:
    from snakemake import cli

    from snakemake_logger_plugin_sessionscribe.handler import LogHandler

    cli.main()
except SystemExit as end:
    sys.exit(LogHandler.exit_code if end.code == 1 else end.code)
except KeyboardInterrupt:
    if "LogHandler" not in globals() or LogHandler.exit_code != INTERRUPTED:  # else the handler reports it
        print("Stopped before any work was begun.", file=sys.stderr)
    sys.exit(INTERRUPTED)
