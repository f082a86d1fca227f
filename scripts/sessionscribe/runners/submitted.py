"""Runs the command of a cluster's submission and adds its use of the machine to the usage log.

    python -m sessionscribe.runners.submitted RUNNER SESSIONS COMMAND…

The current folder is the project's, on a shared volume, where jobs leave records of their usage.
"""

from __future__ import annotations

import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from sessionscribe.artifacts.provenance import JobUsage
from sessionscribe.core.errors import one_by_one
from sessionscribe.runners.guard import accelerator
from sessionscribe.runners.usage_log import USAGE_LOG, Entry


def run_noted(runner: str, sessions: Sequence[str], command: Sequence[str]) -> int:
    """Run a command that works on sessions, add a line to the usage log, return the command's exit status."""
    # Signals go to the whole process group. They end the command; this process still writes its line.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    entry, began = Entry(runner), time.time()
    with entry.busy():
        code = subprocess.run(command, check=False).returncode

    def count(path: Path) -> None:
        if path.stat().st_mtime >= began - 1:
            record = JobUsage.read(path)
            if record.ok and record.host == platform.node():
                entry.finished(record.session, record.rule, record.wall_s, record.audio_s)

    # Damaged or vanished records are reported and left out: other machines write to the same folders.
    records = (path for session in sessions for path in (USAGE_LOG.parent / session).glob("*.json"))
    one_by_one({str(path): path for path in records}, count)
    entry.close(Path(), {"host": platform.node(), "accelerator": accelerator()})
    return code


if __name__ == "__main__":
    sys.exit(run_noted(sys.argv[1], sys.argv[2].split(), sys.argv[3:]))
