"""What is missing, judged by file names alone: ``logs/batch/pending-jobs.json``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field

from sessionscribe.batch.report import Failure, Section, StepOf, moment, now
from sessionscribe.config.settings import Batch
from sessionscribe.planning import priority
from sessionscribe.planning.plan import Plan
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.steps import Folder, Step

PENDING = Path("logs/batch/pending-jobs.json")
CHUNK = "transcribe_chunk"
LONGEST = timedelta(days=7)
"""The longest time for which a failed step is skipped."""


class MissingChunk(Section):
    """A chunk without a transcript.

    Attributes:
        chunk: track and number, as in the name of the transcript.
        reason: ``outdated`` if there is a transcript of other audio or made with other settings.
        source: its recording.
        seconds: its approximate length.
        attempts: in how many consecutive batches it failed.
    """

    chunk: str
    reason: Literal["missing", "outdated", "failed"]
    source: str
    seconds: float
    attempts: int = 0


class PendingSession(Section):
    """An unfinished session; ``other_steps`` are the rules that are due apart from transcription."""

    session_id: str
    layout: str
    priority: int
    age_hours: float | None
    audio_seconds: float
    missing: list[MissingChunk]
    other_steps: list[str]


class PendingJobs(Section):
    """The file ``pending-jobs.json``; a batch works on ``sessions`` in this order."""

    generated_at: str
    total_missing_chunks: int = 0
    sessions_scanned: int = 0
    sessions: list[PendingSession] = Field(default_factory=list)
    locked: bool = False


class Planned(StepOf):
    """A step that is due in a batch; ``parts`` is the number of chunks of its track."""

    model: bool = False
    parts: int = 1


def hold_back(plan: Plan, failures: Iterable[Failure], *, retry_all: bool) -> list[Failure]:
    """Remove from a plan the steps that failed too often, with all that depend on them, unless ``retry_all``.

    Returns:
        Those of the last report's ``failures`` whose steps are still due with the same key.
    """
    keys = {path: step.key for session in plan.sessions.values() for path, step in session.pending.items()}
    standing = [failure for failure in failures if keys.get(failure.output) == failure.key]
    present = datetime.now(UTC)
    for failure in standing:
        wait = moment(failure.retry_after) - present if failure.retry_after else timedelta(0)
        if not retry_all and timedelta(0) < wait <= LONGEST:
            plan.sessions[failure.session].hold_back({failure.output})
        else:
            failure.retry_after = None
    return standing


def pending_jobs(plan: Plan, failures: Iterable[Failure], options: Batch) -> PendingJobs:
    """Return what is missing, including what is skipped for now."""
    attempts = {failure.output: failure.attempts for failure in failures}
    lacking = {name: found for name, found in plan.sessions.items() if found.pending or found.blocked}
    order = priority.in_order((found.session for found in lacking.values()), options, plan.root)
    numbers = priority.priorities(order, options, plan.root)
    found = PendingJobs(generated_at=now(), sessions_scanned=len(plan.sessions))
    for session in order:
        added = priority.added_at(session)
        steps = {**lacking[session.name].pending, **lacking[session.name].blocked}
        found.sessions.append(
            PendingSession(
                session_id=session.name,
                layout=session.layout,
                priority=numbers[session.name],
                age_hours=round((datetime.now(UTC) - added).total_seconds() / 3600, 2) if added else None,
                audio_seconds=round(sum(row.duration_s for row in session.rows), 3),
                missing=list(_missing(lacking[session.name], steps.values(), attempts, plan.root)),
                other_steps=sorted({step.rule for step in steps.values()} - {CHUNK}),
            )
        )
    found.total_missing_chunks = sum(len(session.missing) for session in found.sessions)
    return found


def _missing(
    session: SessionPlan, steps: Iterable[Step], attempts: Mapping[str, int], root: Path
) -> Iterable[MissingChunk]:
    rows = {row.track: row for row in session.session.rows}
    parts = _parts(session)
    older = {path.name for path in (root / f"results/transcribe/{session.session.name}").glob("*/*.json")}
    for step in steps:
        if step.rule != CHUNK:
            continue
        path = Path(step.outputs[0])
        track = _track(path)
        failed = step.outputs[0] in attempts
        yield MissingChunk(
            chunk=path.stem,
            reason="failed" if failed else "outdated" if path.name in older else "missing",
            source=rows[track].source,
            seconds=round(rows[track].duration_s / parts[track], 3),
            attempts=attempts.get(step.outputs[0], 0),
        )


def planned(sessions: Sequence[SessionPlan]) -> list[Planned]:
    """Return the steps that are due."""
    found = []
    for session in sessions:
        parts = _parts(session) if session.pending else {}
        for path, step in session.pending.items():
            chunks = parts[_track(Path(path))] if step.rule == CHUNK else 1
            about = {"session": session.session.name, "rule": step.rule, "output": path, "key": step.key}
            found.append(Planned(**about, model=bool(step.model), parts=chunks))
    return found


def _parts(session: SessionPlan) -> Mapping[str, int]:
    """Return the number of chunks of each track."""
    folders = (work for work in session.plan.works if isinstance(work, Folder) and work.rule == CHUNK)
    return Counter(_track(Path(name)) for folder in folders for name in folder.names)


def _track(transcript: Path) -> str:
    return transcript.name.rsplit(".", 2)[0]
