"""One batch: find what is missing, make exactly that, stop the GPU, report the cost."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sessionscribe.batch import journal, metrics, notices, report, scan, watch
from sessionscribe.batch.journal import JOURNAL, Journal
from sessionscribe.batch.locks import BatchLock
from sessionscribe.batch.machines import mark
from sessionscribe.batch.report import BatchReport, LockStatus
from sessionscribe.batch.scan import PendingJobs
from sessionscribe.config.settings import Config
from sessionscribe.core import locks
from sessionscribe.core.errors import UserError, complain, describe
from sessionscribe.core.text import counted
from sessionscribe.manifest.additions import notes
from sessionscribe.manifest.sources import Group
from sessionscribe.planning import priority
from sessionscribe.planning.plan import Plan
from sessionscribe.planning.session import SessionPlan

BUSY = os.EX_TEMPFAIL
SIGNALLED = 128
UNREADABLE = 3
"""How often in a row the lock may be unreadable before a running batch stops."""


class Commands(Protocol):
    """The commands of the command line that a batch needs."""

    def add(self, groups: Sequence[Group]) -> bool:
        """Add recordings to the manifest; return whether all went well."""

    def run(self, sessions: Sequence[str], left_out: Sequence[str], should_stop: Callable[[], bool]) -> int:
        """Make what is due of these sessions; return Snakemake's exit code."""

    def send(self, sessions: Sequence[SessionPlan]) -> list[str]:
        """Upload and publish as configured; return the sessions that could not be sent completely."""


@dataclass
class Batch:
    """A batch of the project in ``root``.

    Args:
        commands: what it does its work with.
        settings: the settings.
        profile: the name of the profile, for the report.
        max_sessions: the number of sessions to work on; None: all.
        ignore_lock: run even if a recording is in progress.
        retry_all: retry steps that failed too often.
        only: the sessions to choose from; none: all.
    """

    commands: Commands
    settings: Config
    profile: str
    max_sessions: int | None = None
    ignore_lock: bool = False
    retry_all: bool = False
    only: tuple[str, ...] = ()
    root: Path = Path()
    _unreadable: int = field(default=0, init=False)
    _stop_reason: str = field(default="", init=False)

    def run(self) -> tuple[int, BatchReport | None]:
        """Run it; return the exit code and the report, or ``BUSY`` and None if another batch is running."""
        with locks.locked(self.root / JOURNAL.with_suffix(".lock"), wait=False) as mine:
            if mine is None:
                complain(f"another batch is running here ({JOURNAL.parent})")
                return BUSY, None
            self._complete_last()
            return self._run()

    def _complete_last(self) -> None:
        """Write the report of a batch that was killed."""
        found, last = journal.left(self.root), next(report.newest_first(self.root), None)
        if found and not (last and last.run_id == found.report.run_id):
            try:
                due = self._due()
            except UserError:  # this batch will report it
                due = set()
            self._publish(found.complete(due, self.settings.batch, self.root))
        (self.root / JOURNAL).unlink(missing_ok=True)

    def _run(self) -> tuple[int, BatchReport]:
        began = time.monotonic()
        made = self._new_report()
        notes = Journal(report=made, since=mark(self.root))
        notes.write(self.root / JOURNAL)
        code = 1
        # SIGTERM ends a batch as Ctrl-C does, so that machines are stopped and the report is written.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            code = self._work(notes)
        except KeyboardInterrupt:
            made.status, made.reason = "interrupted", "stopped by a signal"
            code = SIGNALLED + signal.SIGINT
        except Exception as error:
            made.status, made.reason = "failed", describe(error, "batch")
            if not isinstance(error, UserError | OSError):
                raise
            complain(made.reason)
        finally:
            notes.note_machines(self.root, wait=True)
            made.skipped = made.status in ("skipped", "locked")
            made.performance.total_duration_seconds = round(time.monotonic() - began, 3)
            self._publish(made)
            (self.root / JOURNAL).unlink(missing_ok=True)
        return code, made

    def _publish(self, made: BatchReport) -> None:
        """Write the report, the metrics and the notifications; no failure in these fails the batch."""
        path = report.path_for(made, self.root)
        made.write(path)
        for tell in (metrics.write, notices.notify):
            try:
                tell(made, self.settings)
            except Exception as error:
                complain(describe(error, tell.__module__))
        made.write(path)
        print(f"{made.summary()}\n{path}", flush=True)

    def _work(self, notes: Journal) -> int:
        """Do the work and note its outcome in the report; return the exit code."""
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
            skipped = f"skipped for now, failed too often: {counted(len(made.failures), 'file')}"
            made.reason = problems[0] if problems else skipped if made.failures else ""
            return int(bool(problems))
        notes.write(self.root / JOURNAL)
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
        """Add new recordings to the manifest; return what is missing, and the problems."""
        made = self._new_report()
        locked = self._is_locked(made)
        problems = self._add_new(made)
        _, pending = self._look(made)
        pending.locked = locked or made.status == "locked"
        return pending, problems

    def show(self) -> int:
        """Print what a batch would do now, without changing anything; return the exit code."""
        made = self._new_report()
        locked = not self.ignore_lock and self._is_locked(made, release=False)
        print(f"lock: {made.reason if locked else 'free'}")
        plan, _ = self._look(made)
        known = {row.source for found in plan.sessions.values() for row in found.session.rows}
        for source in self.settings.batch.sources:
            groups = watch.look(source, self.settings)
            files = notes((file for group in groups for file in group.files), self.root)
            print(f"{source}: {counted(len(set(files.values()) - known), 'new recording')}")
        for session in self._choose(plan):
            rules = Counter(step.rule for step in session.pending.values())
            print(f"{session.session.name}: {', '.join(f'{count} {rule}' for rule, count in rules.items())}")
        for failure in made.failures:
            if failure.retry_after:
                print(f"{failure.session}: skipped until {failure.retry_after}: {failure.message}")
        return 0

    def _new_report(self) -> BatchReport:
        """Return a report that begins with what the last batch left to do."""
        made = BatchReport(timestamp=report.now(), status="failed", profile=self.profile)
        made.run_id = uuid.uuid4().hex[:12]
        if last := next(report.newest_first(self.root), None):
            made.failures, made.not_sent = last.failures, last.not_sent
        return made

    def _due(self) -> set[str]:
        """Return the first output of every step that is due, now or later."""
        sessions = Plan(self.settings, self.root).sessions.values()
        return {path for session in sessions for path in (*session.pending, *session.blocked)}

    def _look(self, made: BatchReport) -> tuple[Plan, PendingJobs]:
        """Return the plan without what is skipped for now, and what is missing; note earlier failures."""
        plan = Plan(self.settings, self.root)
        made.failures = scan.hold_back(plan, made.failures, retry_all=self.retry_all)
        return plan, scan.pending_jobs(plan, made.failures, self.settings.batch)

    def _is_locked(self, made: BatchReport, *, release: bool = True) -> bool:
        """Return whether a recording is in progress; first remove stale locks if ``release``.

        Raises:
            UserError: the lock cannot be read, and the settings require it.
        """
        try:
            lock = BatchLock(self.settings.batch, self.root)
            for stale in lock.release_stale() if release else ():
                complain(f"removed a stale lock: {stale}")
            held = next(iter(lock.held()), None)
        except UserError as error:
            if self.settings.batch.lock_required:
                raise
            complain(error)
            return False
        if held:
            whose = {"user_id": held.lock.user_id, "session_id": held.lock.session_id}
            made.lock_status = LockStatus(locked=True, **whose)
            made.status, made.reason = "locked", str(held)
        return held is not None

    def _add_new(self, made: BatchReport) -> list[str]:
        """Add new recordings, unless a recording is in progress; return the problems."""
        problems: list[str] = []
        groups: list[Group] = []
        for source in self.settings.batch.sources:
            try:
                groups += watch.look(source, self.settings)
            except UserError as error:
                complain(error)
                problems.append(str(error))
        limit_s = 60 * self.settings.batch.lock_minutes
        newest = {
            group.name: max(f.modified for f in group.files) for group in groups if group.layout == "live"
        }
        # A time far ahead comes from a wrong clock.
        live = [name for name, modified in newest.items() if abs(time.time() - modified) < limit_s]
        if live and not self.ignore_lock:
            made.lock_status = LockStatus(locked=True, session_id=live[0])
            made.status = "locked"
            made.reason = f"a recording is in progress ({live[0]}: its newest part is new)"
            return problems
        if groups and not self.commands.add(groups):
            problems.append("some recordings could not be added")
        return problems

    def _choose(self, plan: Plan) -> list[SessionPlan]:
        """Return the sessions to work on, in the order of their priority."""
        names = self.only or plan.sessions.keys()
        due = {name: plan.sessions[name] for name in names if plan.sessions[name].pending}
        order = priority.in_order((each.session for each in due.values()), self.settings.batch, self.root)
        return [due[session.name] for session in order][: self.max_sessions]

    def _make(self, notes: Journal) -> bool:
        """Let Snakemake make what is due; return whether it was stopped early."""
        made = notes.report
        left_out = [failure.output for failure in made.failures if failure.retry_after]
        limited = made.sessions if self.max_sessions is not None or self.only else []
        began = time.monotonic()
        code = self.commands.run(limited, left_out, lambda: self._should_stop(notes))
        seconds = round(time.monotonic() - began, 3)
        notes.note_machines(self.root)
        times = made.performance
        around_s = times.gpu_startup_seconds + times.shutdown_seconds
        times.transcribe_duration_seconds = round(max(0.0, seconds - around_s), 3)
        stopped = bool(self._stop_reason) or code == BUSY or code > SIGNALLED
        if self._stop_reason:
            made.status, made.reason = "interrupted", self._stop_reason
        elif code == BUSY:
            made.status, made.reason = "skipped", "another run is working here"
        notes.note_outcome(self._due(), self.settings.batch, self.root, ended=not stopped)
        if code > SIGNALLED and not self._stop_reason:
            raise KeyboardInterrupt
        if code and not made.reason:
            made.reason = f"the run ended with exit code {code}; see its log"
        return stopped

    def _should_stop(self, notes: Journal) -> bool:
        """Return whether a recording has begun; called while Snakemake works."""
        notes.note_machines(self.root)
        metrics.write_machines(self.settings, self.root)
        if self.ignore_lock:
            return False
        try:
            locked = self._is_locked(notes.report, release=False)
            self._unreadable = 0
        except UserError as error:
            complain(error)
            self._unreadable += 1
            if self._unreadable == UNREADABLE:
                self._stop_reason = str(error)
            return bool(self._stop_reason)
        if locked:
            self._stop_reason = notes.report.reason
            complain(f"{self._stop_reason}: the batch stops after the chunks in progress")
        return locked

    def _send(self, made: BatchReport) -> None:
        """Upload and publish finished sessions, including those that could not be sent before."""
        if not (self.settings.batch.upload or self.settings.batch.publish):
            made.not_sent = []
            return
        sessions = Plan(self.settings, self.root).sessions
        ready = [sessions[name] for name in made.not_sent if name in sessions]
        made.not_sent = self.commands.send(ready)
        made.uploads = len(ready) - len(made.not_sent)
        if made.not_sent:
            made.status = "partial" if made.status == "success" else made.status
            made.reason = made.reason or f"not uploaded or published: {', '.join(made.not_sent)}"
        elif made.status == "failed" and not made.sessions:  # there was nothing else to do
            made.status = "success"
