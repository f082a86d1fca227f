"""What became of the steps of a batch: what was made, what failed, what is left out for a while."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from sessionscribe.artifacts import provenance
from sessionscribe.batch.report import TIME, BatchReport, Failure, moment
from sessionscribe.batch.scan import CHUNK, LONGEST, Planned
from sessionscribe.config.settings import Batch
from sessionscribe.core.errors import UserError
from sessionscribe.planning.status import MODELS


def note(
    report: BatchReport,
    steps: Sequence[Planned],
    due: Collection[str],
    before: Iterable[Failure],
    options: Batch,
    *,
    root: Path,
) -> None:
    """Write into a report what became of its steps, whether or not the batch ran to its end.

    Args:
        report: the report; its ``timestamp`` tells this batch's failures from earlier ones.
        steps: what was to be done.
        due: what is still to be done.
        before: failures of earlier batches, of steps that are still due.
        options: how often a failure is tried again.
        root: the project's folder.
    """
    missing = [step for step in steps if step.output in due or not (root / step.output).exists()]
    failed = _failed(report, missing, root)
    known = {failure.output: failure for failure in before if failure.output in due}
    for failure in failed.values():
        last = known.get(failure.output)
        failure.attempts = last.attempts + 1 if last and last.key == failure.key else 1
        if failure.attempts >= options.attempts:
            hours = options.interval_hours * 2 ** min(failure.attempts, 16)
            wait = min(LONGEST, timedelta(hours=hours))
            failure.retry_after = (moment(failure.last_tried) + wait).strftime(TIME)
    report.failures = [*failed.values(), *(each for path, each in known.items() if path not in failed)]
    gone = {step.output for step in missing}
    chunks = [step for step in steps if step.rule == CHUNK]
    made = [step for step in chunks if step.output not in gone]
    report.transcription.chunks_transcribed = len(made)
    report.transcription.chunks_failed = sum(step.output in failed for step in chunks)
    report.transcription.total_size_bytes = sum(_size(step, root) for step in made)
    report.completed = sorted({step.session for step in steps} - {step.session for step in missing})
    if options.upload or options.publish:
        report.not_sent = list(dict.fromkeys([*report.not_sent, *report.completed]))
    report.reason = report.reason or _reason(list(failed.values()), report, root)


def conclude(report: BatchReport, steps: Sequence[Planned], due: Collection[str]) -> None:
    """Give the report of a batch that ran to its end its status: what is missing now has failed."""
    missing = sum(step.output in due for step in steps)
    report.status = "success" if not missing else "partial" if missing < len(steps) else "failed"
    report.transcription.chunks_failed = sum(step.rule == CHUNK and step.output in due for step in steps)


def _reason(failed: Sequence[Failure], report: BatchReport, root: Path) -> str:
    messages = [failure.message for failure in failed]
    messages += [
        told["message"] for told, tried in _records(root, MODELS) if tried >= report.time.timestamp()
    ]
    more = f" (and {len(messages) - 1} more)" if messages[1:] else ""
    return f"{messages[0]}{more}" if messages else ""


def _failed(report: BatchReport, missing: Iterable[Planned], root: Path) -> dict[str, Failure]:
    """Return what failed in this batch, by output."""
    wanted = {step.output: step for step in missing}
    began = report.time.timestamp()
    found = {}
    for session in sorted({step.session for step in wanted.values()}):
        for told, tried in _records(root, session):
            step = wanted.get(told["output"])
            if step and tried >= began:
                about = step.model_dump(include={"session", "rule", "output", "key"})
                why = {"message": told["message"], "log": told["log"]}
                found[step.output] = Failure(**about, **why, last_tried=report.timestamp)
    return found


def _records(root: Path, session: str) -> Iterator[tuple[dict[str, str], float]]:
    """Yield what failed in a session, and when it was noted (seconds since the epoch)."""
    for path in sorted((root / "logs/failed" / session).glob("*.json")):
        with suppress(OSError, UserError):
            failure = provenance.Failure.read(path)
            yield failure.model_dump(), path.stat().st_mtime


def _size(step: Planned, root: Path) -> int:
    """Return a chunk's share of its recording's size, in bytes; 0 where that is not known."""
    track = Path(step.output).name.rsplit(".", 2)[0]
    try:
        about = json.loads((root / f"results/ingest/{step.session}/{track}.json").read_bytes())
        return int(about["size"]) // step.parts
    except (OSError, ValueError, KeyError, TypeError):
        return 0
