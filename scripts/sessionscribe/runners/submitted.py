"""Run a submission's command and note what the machine was used for: `python -m … RUNNER SESSIONS COMMAND…`.

Runs in a container whose current folder is the project's, on a volume; what the jobs did is in the records
of their use that they left there.
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
    # Signals go to the whole process group: the command ends by them, and what was used is still noted.
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
    """Yield the records that these sessions' jobs on this host have left since then.

    One that is damaged or vanishes costs its figures, not the work: others write in the same folder.
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
