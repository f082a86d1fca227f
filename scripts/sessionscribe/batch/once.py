"""One batch: see what is missing, make exactly that, stop the GPU, say what it cost."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn, Protocol

from sessionscribe.batch import journal, metrics, notices, outcome, report, scan
from sessionscribe.batch.journal import JOURNAL, Journal
from sessionscribe.batch.locks import BatchLock, Held
from sessionscribe.batch.machines import mark
from sessionscribe.batch.report import BatchReport, LockStatus
from sessionscribe.batch.scan import PendingJobs
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError, complain, describe
from sessionscribe.manifest.additions import notes
from sessionscribe.manifest.sources import Group
from sessionscribe.planning import priority
from sessionscribe.planning.plan import Plan
from sessionscribe.planning.session import SessionPlan

BUSY = os.EX_TEMPFAIL
SIGNALLED = 128
UNREADABLE = 3
"""So often in a row the lock may not be readable while work goes on."""


class Tools(Protocol):
    """What the command line gives a batch to work with."""

    def look(self, source: str) -> Sequence[Group]:
        """Return the recordings in a place."""

    def add(self, groups: Sequence[Group]) -> bool:
        """Add recordings to the manifest; return whether all went well."""

    def plan(self) -> Plan:
        """Return what is there and what is due."""

    def run(self, sessions: Sequence[str], left_out: Sequence[str], should_stop: Callable[[], bool]) -> int:
        """Make what is due of these sessions; return Snakemake's exit code."""

    def send(self, sessions: Sequence[SessionPlan]) -> list[str]:
        """Upload and publish as the settings ask for; return the sessions of which something was not sent."""


@dataclass
class Batch:
    """A batch.

    Args:
        tools: what it works with.
        settings: the settings.
        profile: the name of the profile, for the report.
        max_sessions: work on so many at most; None: on all.
        ignore_lock: do not ask for the lock.
        retry_all: try again what failed too often.
        only: work on these sessions; none: on all.
        root: the project's folder.
    """

    tools: Tools
    settings: Config
    profile: str
    max_sessions: int | None = None
    ignore_lock: bool = False
    retry_all: bool = False
    only: tuple[str, ...] = ()
    root: Path = Path()
    _unreadable: int = field(default=0, init=False)
    _locked_by: str = field(default="", init=False)

    def run(self) -> tuple[int, BatchReport | None]:
        """Do it; return the exit code and the report, or ``BUSY`` and None where another one is at work."""
        with journal.only_one(self.root) as alone:
            if not alone:
                complain(f"another batch is at work here ({JOURNAL.parent})")
                return BUSY, None
            self._complete_last()
            return self._run()

    def _complete_last(self) -> None:
        """Write the report of a batch that was killed."""
        found = journal.left(self.root)
        last = self._last()
        if found and not (last and last.run_id == found.report.run_id):
            try:
                due = _due(self.tools.plan().sessions.values())
            except UserError:  # this batch will say so
                due = set()
            self._publish(journal.complete(found, due, self.settings.batch, self.root))
        (self.root / JOURNAL).unlink(missing_ok=True)

    def _run(self) -> tuple[int, BatchReport]:
        began = time.monotonic()
        made = self._new_report()
        notes = Journal(report=made, since=mark(self.root))
        notes.write(self.root)
        code = 1
        try:
            with _terminated():
                code = self._work(notes)
        except KeyboardInterrupt:
            made.status, made.reason = "interrupted", "it was stopped by a signal"
            code = SIGNALLED + signal.SIGINT
        except (UserError, OSError) as error:
            made.status, made.reason = "failed", describe(error, "batch")
            complain(made.reason)
        except Exception as error:
            made.status, made.reason = "failed", describe(error, "batch")
            raise
        finally:
            notes.note_machines(self.root, wait=True)
            made.skipped = made.status in ("skipped", "locked")
            made.performance.total_duration_seconds = round(time.monotonic() - began, 3)
            self._publish(made)
            (self.root / JOURNAL).unlink(missing_ok=True)
        return code, made

    def _publish(self, made: BatchReport) -> None:
        """Write the report, then tell all who want to know; what goes wrong with that fails no batch."""
        path = report.path_for(made, self.root)
        report.write(made, path)
        for tell in (metrics.write, notices.notify):
            try:
                tell(made, self.settings)
            except Exception as error:
                complain(describe(error, tell.__module__))
        report.write(made, path)
        print(f"{made.summary()}\n{path}", flush=True)

    def _work(self, notes: Journal) -> int:
        """Do the work, and write down in the report what came of it; return the exit code."""
        made = notes.report
        if not self.ignore_lock and self._is_locked(made):
            return 0
        began = time.monotonic()
        problems = self._add_new(made)
        if made.status == "locked":
            return 0
        plan, pending = self._look(made)
        pending.write(self.root / scan.PENDING)
        made.scan.sessions_scanned = pending.sessions_scanned
        made.scan.total_missing_chunks = pending.total_missing_chunks
        made.performance.scan_duration_seconds = round(time.monotonic() - began, 3)
        chosen = self._choose(plan)
        notes.steps = scan.planned(chosen)
        made.sessions = [session.session.name for session in chosen]
        if not notes.steps and not made.not_sent:
            made.status = "failed" if problems else "skipped"
            made.reason = problems[0] if problems else _left_out(made.failures)
            return int(bool(problems))
        notes.write(self.root)
        stopped = self._make(notes) if notes.steps else False
        if problems and not made.reason:
            made.reason = problems[0]
        made.status = "partial" if made.status == "success" and problems else made.status
        if not stopped:
            self._send(made)
        if made.status == "skipped":
            return BUSY
        return 0 if made.status in ("success", "interrupted") else 1

    def scan(self) -> tuple[PendingJobs, list[str]]:
        """Add what is new to the manifest, and return what is missing, and what went wrong."""
        made = self._new_report()
        locked = self._is_locked(made)
        problems = self._add_new(made)
        _, pending = self._look(made)
        pending.locked = locked or made.status == "locked"
        return pending, problems

    def show(self) -> int:
        """Print what a batch would do now, without a change of anything; return the exit code."""
        made = self._new_report()
        locked = not self.ignore_lock and self._is_locked(made, release=False)
        print(f"lock: {made.reason if locked else 'free'}")
        plan, _ = self._look(made)
        known = {row.source for found in plan.sessions.values() for row in found.session.rows}
        for source in self.settings.batch.sources:
            files = notes((file for group in self.tools.look(source) for file in group.files), self.root)
            print(f"{source}: {len(set(files.values()) - known)} new recordings")
        for session in self._choose(plan):
            rules = Counter(step.rule for step in session.pending.values())
            print(f"{session.session.name}: {', '.join(f'{count} {rule}' for rule, count in rules.items())}")
        for failure in made.failures:
            if failure.retry_after:
                print(f"{failure.session}: left out until {failure.retry_after}: {failure.message}")
        return 0

    def _new_report(self) -> BatchReport:
        """Return a report that knows what the last one left to do."""
        made, last = BatchReport(timestamp=report.now(), status="failed"), self._last()
        made.run_id, made.profile = uuid.uuid4().hex[:12], self.profile
        if last:
            made.failures, made.not_sent = last.failures, last.not_sent
        return made

    def _last(self) -> BatchReport | None:
        """Return the last report."""
        return next(report.newest_first(self.root), None)

    def _look(self, made: BatchReport) -> tuple[Plan, PendingJobs]:
        """Return the plan without what is left out for now, and what is missing; note what failed before."""
        plan = self.tools.plan()
        made.failures = scan.hold_back(plan, made.failures, retry_all=self.retry_all)
        return plan, scan.pending_jobs(plan, made.failures, self.settings.batch)

    def _is_locked(self, made: BatchReport, *, release: bool = True) -> bool:
        """Look for a lock that is in force; remove stale ones before, where that is asked for.

        Raises:
            UserError: that cannot be said, and the settings require it.
        """
        try:
            lock = BatchLock.of(self.settings, self.root)
            for stale in lock.release_stale() if release else ():
                complain(f"a stale lock was removed: {stale}")
            held = lock.held()
        except UserError as error:
            if self.settings.batch.lock_required:
                raise
            complain(error)
            return False
        if held:
            made.lock_status = _status_of(held[0])
            made.status, made.reason = "locked", str(held[0])
        return bool(held)

    def _add_new(self, made: BatchReport) -> list[str]:
        """Add what is new, unless something is being recorded right now; return what went wrong."""
        problems: list[str] = []
        groups: list[Group] = []
        for source in self.settings.batch.sources:
            try:
                groups += self.tools.look(source)
            except UserError as error:
                complain(error)
                problems.append(str(error))
        if not self.ignore_lock and (live := self._live(groups)):
            made.lock_status = LockStatus(locked=True, session_id=live)
            made.status, made.reason = "locked", f"a recording is going on ({live}: its newest part is young)"
            return problems
        if groups and not self.tools.add(groups):
            problems.append("some recordings could not be added")
        return problems

    def _live(self, groups: Iterable[Group]) -> str:
        """Return a live session that was written to a short while ago; "" where there is none."""
        limit_s = 60 * self.settings.batch.lock_minutes
        for group in groups:
            age_s = time.time() - max(file.modified for file in group.files)
            if group.layout == "live" and abs(age_s) < limit_s:  # else the clock that wrote it was far ahead
                return group.name
        return ""

    def _choose(self, plan: Plan) -> list[SessionPlan]:
        """Return the sessions to work on, in order."""
        names = self.only or plan.sessions.keys()
        due = {name: plan.sessions[name] for name in names if plan.sessions[name].pending}
        order = priority.in_order((each.session for each in due.values()), self.settings.batch, self.root)
        return [due[session.name] for session in order][: self.max_sessions]

    def _make(self, notes: Journal) -> bool:
        """Have Snakemake make what is due; return whether it was stopped before the end."""
        made = notes.report
        left_out = [failure.output for failure in made.failures if failure.retry_after]
        limited = made.sessions if self.max_sessions is not None or self.only else []
        began = time.monotonic()
        code = self.tools.run(limited, left_out, lambda: self._should_stop(notes))
        seconds = round(time.monotonic() - began, 3)
        notes.note_machines(self.root)
        times = made.performance
        around_s = times.gpu_startup_seconds + times.shutdown_seconds
        times.transcribe_duration_seconds = round(max(0.0, seconds - around_s), 3)
        due = _due(self.tools.plan().sessions.values())
        outcome.note(made, notes.steps, due, made.failures, self.settings.batch, root=self.root)
        if code == BUSY:
            made.status, made.reason = "skipped", "another run is at work here"
            return True
        if self._locked_by:
            made.status, made.reason = "interrupted", self._locked_by
            return True
        if code > SIGNALLED:
            raise KeyboardInterrupt
        outcome.conclude(made, notes.steps, due)
        if code and not made.reason:
            made.reason = f"the run ended with exit code {code}; its log says why"
        return False

    def _should_stop(self, notes: Journal) -> bool:
        """Return whether a recording has begun; asked while work goes on."""
        notes.note_machines(self.root)
        metrics.write_machines(self.settings, self.root)
        if self.ignore_lock:
            return False
        try:
            held = BatchLock.of(self.settings, self.root).held()
        except UserError as error:
            complain(error)
            self._unreadable += 1
            if not self.settings.batch.lock_required or self._unreadable < UNREADABLE:
                return False
            self._locked_by = str(error)
            return True
        self._unreadable = 0
        if held:
            self._locked_by = str(held[0])
            notes.report.lock_status = _status_of(held[0])
            complain(f"{held[0]}: what is in hand is finished, and then the batch stops")
        return bool(held)

    def _send(self, made: BatchReport) -> None:
        """Upload and publish what is finished, and what could not be sent before."""
        if not (self.settings.batch.upload or self.settings.batch.publish):
            made.not_sent = []
            return
        sessions = self.tools.plan().sessions
        ready = [sessions[name] for name in made.not_sent if name in sessions]
        made.not_sent = self.tools.send(ready)
        made.uploads = len(ready) - len(made.not_sent)
        if made.not_sent:
            made.status = "partial" if made.status == "success" else made.status
            made.reason = made.reason or f"{len(made.not_sent)} sessions could not be uploaded or published"
        elif made.status == "failed" and not made.sessions:  # nothing else was to be done
            made.status = "success"


def _due(sessions: Iterable[SessionPlan]) -> set[str]:
    """Return the first output of every step that is to be done, now or later."""
    return {path for session in sessions for path in (*session.pending, *session.blocked)}


def _status_of(held: Held) -> LockStatus:
    return LockStatus(locked=True, user_id=held.lock.user_id, session_id=held.lock.session_id)


def _left_out(failures: Sequence[report.Failure]) -> str:
    count = len(failures)
    return f"{count} file{'s' * (count > 1)} failed too often and are left out for now" if count else ""


@contextmanager
def _terminated() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that what must be said and stopped is."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
