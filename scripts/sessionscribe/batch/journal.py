"""What the next batch needs to know of one that is killed: ``logs/batch/current.json``, while one runs."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field, ValidationError

from sessionscribe.batch import machines, outcome
from sessionscribe.batch.machines import Mark
from sessionscribe.batch.report import BatchReport, Section
from sessionscribe.batch.scan import Planned
from sessionscribe.config.settings import Batch
from sessionscribe.core import locks
from sessionscribe.core.files import write_text

JOURNAL = Path("logs/batch/current.json")
STOPS_WITHIN_S = 120.0
"""So long is waited for a machine that its watchdog stops, as who started it was killed."""


class Journal(Section):
    """The report as far as it is known, the steps that were to be done, and where the logs ended before."""

    report: BatchReport
    steps: list[Planned] = Field(default_factory=list)
    since: Mark = Mark()

    def write(self, root: Path) -> None:
        """Write it atomically."""
        write_text(root / JOURNAL, self.model_dump_json(by_alias=True) + "\n")

    def note_machines(self, root: Path, *, wait: bool = False) -> None:
        """Write into the report what machines were used so far.

        Args:
            root: the project's folder.
            wait: whether a watchdog may still be stopping one, as who started it was killed.
        """
        until = time.monotonic() + STOPS_WITHIN_S
        while wait and machines.is_stopping(self.since, root) and time.monotonic() < until:
            time.sleep(1)
        worked = any(step.model for step in self.steps)
        machines.note(self.report, self.since, root, models_worked=worked)


@contextmanager
def only_one(root: Path) -> Iterator[bool]:
    """Yield whether no other batch is at work here; the kernel's lock ends with this process."""
    path = root / JOURNAL.with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        yield locks.wait_for(file, 0)


def left(root: Path) -> Journal | None:
    """Return the journal of a killed batch; None where there is none. No other one must be at work."""
    try:
        return Journal.model_validate_json((root / JOURNAL).read_bytes())
    except (OSError, ValidationError):
        return None


def complete(journal: Journal, due: Collection[str], options: Batch, root: Path) -> BatchReport:
    """Return the report of a batch that was killed.

    Args:
        journal: what it left.
        due: the files that are still to be made.
        options: how often a failure is tried again.
        root: the project's folder.
    """
    report = journal.report
    outcome.note(report, journal.steps, due, report.failures, options, root=root)
    journal.note_machines(root, wait=True)
    report.status = "crashed"
    report.reason = f"it was killed{f' ({report.reason})' if report.reason else ''}"
    return report
