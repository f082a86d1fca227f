"""What the next batch needs if this one is killed, and how a batch's outcome gets into its report."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from pydantic import Field, ValidationError

from sessionscribe.artifacts.provenance import Failure as JobFailure
from sessionscribe.batch import machines
from sessionscribe.batch.machines import Mark
from sessionscribe.batch.report import TIME, BatchReport, Failure, Section, StepOf, moment
from sessionscribe.batch.scan import CHUNK, LONGEST, Planned
from sessionscribe.config.settings import Batch
from sessionscribe.core.errors import UserError
from sessionscribe.planning.status import MODELS

JOURNAL = Path("logs/batch/current.json")
"""Exists while a batch runs."""
STOPS_WITHIN_S = 120.0
"""How long to wait for a watchdog to stop a machine after the run that started it was killed."""


class Journal(Section):
    """The report so far, the steps that are due, and where the logs ended when the batch began."""

    report: BatchReport
    steps: list[Planned] = Field(default_factory=list)
    since: Mark = Mark()

    def note_machines(self, root: Path, *, wait: bool = False) -> None:
        """Update the report's figures of machines; ``wait`` for those that a watchdog is still stopping."""
        worked, until = any(step.model for step in self.steps), time.monotonic() + STOPS_WITHIN_S
        while True:
            machines.note(self.report, self.since, root, models_worked=worked)
            stopping = any(used.we_started_it and not used.stop_time for used in self.report.gpus)
            if not (wait and stopping) or time.monotonic() >= until:
                return
            time.sleep(1)

    def note_outcome(self, due: Collection[str], options: Batch, root: Path, *, ended: bool) -> None:
        """Update the report with the outcome of its steps; ``due`` are the files that are still missing.

        If the batch ran to its end (``ended``), these have failed.
        """
        report, chunks = self.report, [step for step in self.steps if step.rule == CHUNK]
        missing = {s.output: s for s in self.steps if s.output in due or not (root / s.output).exists()}
        known = {failure.output: failure for failure in report.failures if failure.output in due}
        failed = dict(self._failed(missing, root))
        for failure in failed.values():
            _count(failure, known.get(failure.output), options)
        report.failures = [*failed.values(), *(each for path, each in known.items() if path not in failed)]
        made = [step for step in chunks if step.output not in missing]
        report.transcription.chunks_transcribed = len(made)
        report.transcription.chunks_failed = sum(step.output in (due if ended else failed) for step in chunks)
        report.transcription.total_size_bytes = sum(_size(step, root) for step in made)
        report.completed = sorted(
            {step.session for step in self.steps} - {step.session for step in missing.values()}
        )
        if options.upload or options.publish:
            report.not_sent = list(dict.fromkeys([*report.not_sent, *report.completed]))
        if ended:
            lost = sum(step.output in due for step in self.steps)
            report.status = "success" if not lost else "partial" if lost < len(self.steps) else "failed"
        messages = [failure.message for failure in failed.values()]
        messages += [failure.message for failure in self._failures(MODELS, root)]
        if messages and not report.reason:
            report.reason = messages[0] + (f" (and {len(messages) - 1} more)" if messages[1:] else "")

    def complete(self, due: Collection[str], options: Batch, root: Path) -> BatchReport:
        """Return the report of this batch, which was killed; ``due`` are the files that are still missing."""
        self.note_outcome(due, options, root, ended=False)
        self.note_machines(root, wait=True)
        self.report.status = "crashed"
        self.report.reason = f"it was killed{f' ({self.report.reason})' if self.report.reason else ''}"
        return self.report

    def _failed(self, missing: dict[str, Planned], root: Path) -> Iterator[tuple[str, Failure]]:
        """Yield which of the missing files failed in this batch."""
        for session in sorted({step.session for step in missing.values()}):
            for failure in self._failures(session, root):
                if step := missing.get(failure.output):
                    about = step.model_dump(include=set(StepOf.model_fields))
                    why = {"message": failure.message, "log": failure.log}
                    yield step.output, Failure(**about, **why, last_tried=self.report.timestamp)

    def _failures(self, session: str, root: Path) -> Iterator[JobFailure]:
        """Yield the jobs of a session that have failed since this batch began."""
        for path in sorted((root / "logs/failed" / session).glob("*.json")):
            with suppress(OSError, UserError):
                if path.stat().st_mtime >= self.report.time.timestamp():
                    yield JobFailure.read(path)


def left(root: Path) -> Journal | None:
    """Return the journal of a killed batch, if there is one; no other batch may be running."""
    try:
        return Journal.model_validate_json((root / JOURNAL).read_bytes())
    except (OSError, ValidationError):
        return None


def _count(failure: Failure, last: Failure | None, options: Batch) -> None:
    """Note how often a step has failed in a row, and until when it is skipped."""
    failure.attempts = last.attempts + 1 if last and last.key == failure.key else 1
    if failure.attempts >= options.attempts:
        wait = min(LONGEST, timedelta(hours=options.interval_hours * 2 ** min(failure.attempts, 16)))
        failure.retry_after = (moment(failure.last_tried) + wait).strftime(TIME)


def _size(step: Planned, root: Path) -> int:
    """Return a chunk's share of its recording's size, in bytes; 0 if unknown."""
    track = Path(step.output).name.rsplit(".", 2)[0]
    try:
        about = json.loads((root / f"results/ingest/{step.session}/{track}.json").read_bytes())
        return int(about["size"]) // step.parts
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 0
