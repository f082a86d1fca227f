"""Snakemake, as `sessionscribe run` starts it: its exit code says what ended it (`LogHandler.exit_code`)."""

import signal
import sys

from sessionscribe.cli.run import SIGNALLED
from snakemake_logger_plugin_sessionscribe import LogHandler

try:
    from snakemake import cli

    cli.main()
except SystemExit as end:
    sys.exit(LogHandler.exit_code if end.code == 1 else end.code)
except KeyboardInterrupt:
    sys.exit(SIGNALLED + signal.SIGINT)
