"""The status of every session, read from its files and records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sessionscribe.artifacts.base import Part
from sessionscribe.core.errors import SHOWN, visible
from sessionscribe.core.text import harmless, listed
from sessionscribe.planning.plan import Plan
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.steps import STAGE_OF

MODELS = "models"
"""The folder of `logs/failed` for the check of the models."""
WITHOUT_SPEAKERS = "without speakers"
WORD_OF = {
    "ingest": "downloading",
    "convert": "converting",
    "chunk": "converting",
    "transcribe": "transcribing",
    "merge": "transcribing",
    "diarize": "diarizing",
    "name": "naming",
    "audit": "exporting",
    "correct": "exporting",
    "export": "exporting",
}


@dataclass(frozen=True)
class SessionStatus:
    """One line of the status table.

    ``stage`` is the last completed stage, ``audit`` the verdict on the transcript (``-``: none yet).
    Flags and failures are one line each.
    """

    session: str
    layout: str
    hours: float
    stage: str
    chunks_done: int
    chunks: int
    gaps: int
    flags: tuple[str, ...]
    audit: str
    failures: tuple[str, ...]
    status: str
    without_speakers: bool = False


class RunStatus(Part):
    """The progress of a run elsewhere: ``status.json`` beside its saves.

    ``eta_s`` is the time that the remaining chunks take, ``seconds_left`` the time until the machine is
    withdrawn. ``waiting`` are saves that have not arrived yet, as far as is known.
    """

    written_at: str
    sessions: list[SessionStatus]
    eta_s: float | None = None
    saves: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    seconds_left: float | None = None
    gpu: str = ""

    def lines(self, now: datetime) -> Iterator[str]:
        """Yield the table of sessions and a line about the machine."""
        yield visible_lines(table(self.sessions))
        age_s = (now - datetime.fromisoformat(self.written_at)).total_seconds()
        facts = [f"as of {_duration(age_s)} ago"]
        facts += [f"chunks done in about {_duration(self.eta_s)}"] * (self.eta_s is not None)
        facts += [f"{len(self.saves)} saved"] + [f"{len(self.waiting)} not arrived yet"] * bool(self.waiting)
        if self.seconds_left is not None:
            facts.append(f"the machine has {_duration(self.seconds_left)} left")
        yield visible("; ".join([*facts, *([self.gpu] if self.gpu else [])]), None)


def _duration(seconds: float | None) -> str:
    minutes = round((seconds or 0) / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def visible_lines(text: str) -> str:
    """Return untrusted text with control characters other than line breaks as escapes."""
    return "\n".join(visible(line, None) for line in text.split("\n"))


def collect(plan: Plan) -> list[SessionStatus]:
    """Return the status of every session of a plan, in the manifest's order."""
    return [status_of(plan.root, session) for session in plan.sessions.values()]


def status_of(root: Path, plan: SessionPlan) -> SessionStatus:
    """Return the status of a session of the project in ``root``."""
    session, totals = plan.session, plan.totals
    open_stages = {step.stage for step in (*plan.pending.values(), *plan.blocked.values())}
    done = [stage for stage in WORD_OF if stage in {STAGE_OF[rule] for rule in totals} - open_stages]
    failures = tuple(map(str, failed(root, plan)))
    if failures:
        word = "failed"
    elif plan.blocked:
        word = "blocked"
    elif not plan.pending:
        word = "complete"
    elif len(plan.pending) == totals.total():
        word = "pending"
    else:
        word = next(WORD_OF[stage] for stage in WORD_OF if stage in open_stages)
    records = plan.records(root)
    durations = [row.length_s for row in session.rows]
    return SessionStatus(
        session=session.name,
        layout=session.layout,
        hours=(max(durations) if session.layout == "multitrack" else sum(durations)) / 3600,
        stage=_reached(done, open_stages),
        chunks_done=plan.done("transcribe_chunk"),
        chunks=totals["transcribe_chunk"],
        gaps=len(missing_parts(plan)),
        flags=tuple(dict.fromkeys(flag for record in records for flag in record.get("flags", ()))),
        audit=next((record["verdict"] for record in records if record.get("verdict")), "-"),
        failures=failures,
        status=word,
        without_speakers=bool(totals["assign_speakers"]) and not totals["cluster_speakers"],
    )


def left_out(plan: SessionPlan) -> str:
    """Return the line about a session that is not sent because it is not finished."""
    undone = len(plan.pending) + len(plan.blocked)
    reason = plan.session.problem or f"not finished ({undone} to do); run it first"
    return f"left {plan.session.name}: {reason}"


def _reached(done: list[str], open_stages: set[str]) -> str:
    """Return the last completed stage before the first open one."""
    reached = "-"
    for stage in WORD_OF:
        if stage in open_stages:
            break
        if stage in done:
            reached = stage
    return reached


def missing_parts(plan: SessionPlan) -> list[int]:
    """Return the numbers of a live session's unusable and missing parts."""
    rows = () if plan.session.problem else plan.session.rows
    parts = {row.part: row.duration_s > 0 for row in rows if row.part is not None}
    good = {part for part, is_good in parts.items() if is_good}
    return sorted({*range(min(parts), max(parts) + 1)} - good) if parts else []


@dataclass(frozen=True)
class Failed:
    """Why a job failed in the last run, and its log, if any, relative to the project's folder."""

    message: str
    log: str = ""

    def __str__(self) -> str:
        return f"{self.message} (log: {self.log})" if self.log else self.message


def failed(root: Path, plan: SessionPlan) -> list[Failed]:
    """Return what failed in the last run and is still to do, including the check of the models.

    A recording that was missing and has been restored is none.
    """
    found = []
    folders = [plan.session.name, *([MODELS] if plan.needs_models() else [])]
    for path in sorted(path for name in folders for path in (root / "logs/failed" / name).glob("*.json")):
        with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):  # removed, or damaged
            failure = json.loads(path.read_bytes())
            place, _, what = failure["message"].partition(": ")
            if what.startswith("does not exist") and (root / place).exists():
                continue
            if path.parent.name == MODELS or failure["output"] in plan.pending.keys() | plan.missing:
                found.append(Failed(failure["message"], failure["log"]))
    if plan.session.problem and not found:
        found.append(Failed(plan.session.problem))
    return found


def table(rows: Iterable[SessionStatus]) -> str:
    """Return the status table as text: a line per session, then failures and flags."""
    rows = list(rows)
    header = ("session", "layout", "length", "stage", "chunks", "gaps", "flags", "audit", "status")
    cells: list[tuple[str, ...]] = [
        (
            row.session,
            row.layout,
            str(timedelta(seconds=round(3600 * row.hours))),
            row.stage,
            f"{row.chunks_done}/{row.chunks}",
            str(row.gaps or "-"),
            str(len(row.flags) or "-"),
            row.audit,
            row.status,
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in (header, *cells)]
    named: dict[str, list[str]] = {}  # sessions with the same problem share a line
    for row in rows:
        for note in dict.fromkeys((*row.failures, *row.flags, *[WITHOUT_SPEAKERS] * row.without_speakers)):
            named.setdefault(note, []).append(row.session)
    notes = [f"{listed(sessions, SHOWN)}: {harmless(note)}" for note, sessions in named.items()]
    return "\n".join([*lines, *(["", *notes] if notes else [])])
