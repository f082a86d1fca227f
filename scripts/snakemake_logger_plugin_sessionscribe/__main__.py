"""Snakemake, as `sessionscribe run` starts it: its exit code says what ended it (`LogHandler.exit_code`)."""

import os
import signal
import sys
import threading
import time

from sessionscribe.cli.run import SIGNALLED
from snakemake_logger_plugin_sessionscribe import LogHandler


def stop_with(parent: int) -> None:
    """Interrupt this process when its parent is gone, so that the machines that it started stop."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGINT)


threading.Thread(target=stop_with, args=(os.getppid(),), daemon=True).start()
try:
    from snakemake import cli

    cli.main()
except SystemExit as end:
    sys.exit(LogHandler.exit_code if end.code == 1 else end.code)
except KeyboardInterrupt:
    sys.exit(SIGNALLED + signal.SIGINT)
