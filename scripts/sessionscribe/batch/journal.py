"""What the next batch needs if this one is killed: ``logs/batch/current.json``, while a batch runs."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

from pydantic import Field, ValidationError

from sessionscribe.batch import machines, outcome
from sessionscribe.batch.machines import Mark
from sessionscribe.batch.report import BatchReport, Section
from sessionscribe.batch.scan import Planned
from sessionscribe.config.settings import Batch

JOURNAL = Path("logs/batch/current.json")
STOPS_WITHIN_S = 120.0
"""How long to wait for a watchdog to stop a machine after the run that started it was killed."""


class Journal(Section):
    """The report so far, the steps that are due, and where the logs ended when the batch began."""

    report: BatchReport
    steps: list[Planned] = Field(default_factory=list)
    since: Mark = Mark()

    def note_machines(self, root: Path, *, wait: bool = False) -> None:
        """Update the report's figures of machines; ``wait`` for those that a watchdog is still stopping."""
        until = time.monotonic() + STOPS_WITHIN_S
        while wait and machines.is_stopping(self.since, root) and time.monotonic() < until:
            time.sleep(1)
        worked = any(step.model for step in self.steps)
        machines.note(self.report, self.since, root, models_worked=worked)


def left(root: Path) -> Journal | None:
    """Return the journal of a killed batch, if there is one; no other batch may be running."""
    try:
        return Journal.model_validate_json((root / JOURNAL).read_bytes())
    except (OSError, ValidationError):
        return None


def complete(journal: Journal, due: Collection[str], options: Batch, root: Path) -> BatchReport:
    """Return the report of a batch that was killed; ``due`` are the files that are still missing."""
    report = journal.report
    outcome.note(report, journal.steps, due, report.failures, options, root=root)
    journal.note_machines(root, wait=True)
    report.status = "crashed"
    report.reason = f"it was killed{f' ({report.reason})' if report.reason else ''}"
    return report
