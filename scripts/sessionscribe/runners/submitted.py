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
from collections.abc import Iterator, Sequence
from pathlib import Path

from sessionscribe.artifacts.provenance import JobUsage
from sessionscribe.core.errors import UserError
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
    for record in _records_of(sessions, began):
        if record.ok:
            entry.finished(record.session, record.rule, record.wall_s, record.audio_s)
    about = {"host": platform.node(), "accelerator": accelerator()}
    entry.close(Path(), about)
    return code


def _records_of(sessions: Sequence[str], began: float) -> Iterator[JobUsage]:
    """Yield the records that jobs of these sessions have left on this host since a time.

    Damaged or vanished ones are reported and left out: other machines write to the same folders.
    """
    for path in [path for session in sessions for path in (USAGE_LOG.parent / session).glob("*.json")]:
        try:
            if path.stat().st_mtime >= began - 1:
                record = JobUsage.read(path)
                if record.host == platform.node():
                    yield record
        except (UserError, OSError) as error:
            print(f"sessionscribe: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(run_noted(sys.argv[1], sys.argv[2].split(), sys.argv[3:]))
