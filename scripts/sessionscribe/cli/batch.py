"""``batch``: unattended runs."""

from __future__ import annotations

import argparse
import getpass
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sessionscribe.batch.locks import BatchLock
from sessionscribe.cli import add as adding
from sessionscribe.cli import publish as publishing
from sessionscribe.cli import run, workflow
from sessionscribe.cli import storage as storing
from sessionscribe.cli.options import (
    DRY_RUN,
    JSON,
    SETTINGS,
    argument,
    command,
    configfiles,
    flag,
    from_one,
    joined,
    load,
    passed_on,
    profile_values,
)
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError
from sessionscribe.core.files import write_text
from sessionscribe.core.text import counted
from sessionscribe.manifest.sources import Group
from sessionscribe.planning.session import SessionPlan

LEFT_OUT = Path("logs/batch/left-out.txt")
ONCE = (
    SETTINGS,
    DRY_RUN,
    argument("--max-sessions", "N", "work on the first N sessions only", type=from_one),
    flag("--ignore-lock", "run even if a recording is in progress"),
    flag("--retry-all", "retry jobs that have failed too often"),
)
KINDS = ("systemd", "launchd", "cron")
WHOSE = joined(
    argument("--session", "ID", "session of the recording"),
    argument("--user", "USER", "user who records (default: you)", default=getpass.getuser()),
)


@dataclass(frozen=True)
class Commands:
    """The commands that a batch runs (``batch.once.Commands``)."""

    settings: Config
    options: argparse.Namespace

    def run(self, sessions: Sequence[str], left_out: Sequence[str], should_stop: Callable[[], bool]) -> int:
        """Run Snakemake for sessions (none: all), without ``left_out`` files; return its exit code."""
        there = run.checks_models_here(self.options)
        run.planned(load(self.options, sessions), with_models=there)
        more = []
        if left_out:  # too many for a command line, perhaps
            write_text(LEFT_OUT, "\n".join(left_out))
            more = [f"batch={run.flow({'left_out': str(LEFT_OUT)})}"]
        poll_s, request = self.settings.batch.lock_poll_s, workflow.Request()
        return run.make(self.options, request, sessions, more=more, should_stop=should_stop, every_s=poll_s)

    def add(self, groups: Sequence[Group]) -> bool:
        """Add recordings to the manifest; return whether all could be added."""
        return not adding.add_groups(groups, {}, self.settings, quiet=True)[1].problems

    def send(self, sessions: Sequence[SessionPlan]) -> list[str]:
        """Upload and publish as configured; return the sessions that could not be sent completely."""
        failed, files = [], configfiles(self.options)
        for session in sessions:
            code = 0
            if self.settings.batch.upload:
                code |= storing.upload_sessions([session], self.settings)
            if self.settings.batch.publish:
                code |= publishing.publish_sessions([session], self.settings, configfiles=files)
            if code:
                failed.append(session.session.name)
        return failed


@command("batch", *ONCE)
@command("batch once", *ONCE)
def _once(options: argparse.Namespace, settings: Config) -> int:
    """Run what is missing, unless a recording is in progress, and report the cost."""
    from sessionscribe.batch.once import Batch  # noqa: PLC0415 -- of no use to the other commands

    batch = Batch(
        Commands(settings, options),
        settings,
        options.profile,
        max_sessions=options.max_sessions,
        ignore_lock=options.ignore_lock,
        retry_all=options.retry_all,
    )
    return batch.show() if options.dry_run else batch.run()[0]


@command(
    "batch scan",
    SETTINGS,
    argument("--output", "FILE", "default: logs/batch/pending-jobs.json", type=Path),
)
def _scan(options: argparse.Namespace, settings: Config) -> int:
    """Look for recordings, and list missing chunks in a file."""
    from sessionscribe.batch.once import Batch  # noqa: PLC0415
    from sessionscribe.batch.scan import PENDING  # noqa: PLC0415

    output = options.output or PENDING
    pending, problems = Batch(Commands(settings, options), settings, options.profile).scan()
    pending.write(output)
    locked = ", locked" if pending.locked else ""
    missing, sessions = pending.total_missing_chunks, len(pending.sessions)
    found = f"missing: {counted(missing, 'chunk')} in {counted(sessions, 'session')}"
    print(f"{found} of {pending.sessions_scanned}{locked}: {output}")
    return int(bool(problems))


@command("batch lock", SETTINGS, WHOSE)
def _lock(options: argparse.Namespace, settings: Config) -> int:
    """Make batches wait while a recording is in progress."""
    print(BatchLock(settings.batch).lock(options.user, options.session or "manual").text(), end="")
    return 0


@command("batch unlock", SETTINGS, WHOSE)
def _unlock(options: argparse.Namespace, settings: Config) -> int:
    """Let batches run again after a recording."""
    if not BatchLock(settings.batch).unlock(options.user, options.session):
        print("There was no such lock.", file=sys.stderr)
    return 0


@command("batch lock-status", SETTINGS)
def _show_lock(_: argparse.Namespace, settings: Config) -> int:
    """Show the lock as JSON."""
    print(json.dumps(BatchLock(settings.batch).status(), ensure_ascii=False))
    return 0


@command(
    "batch check",
    SETTINGS,
    flag("--notify", "send a test notification"),
    flag("--alerts", "notify if no batch has succeeded for too long"),
)
def _check(options: argparse.Namespace, settings: Config) -> int:
    """Check that everything a batch needs is there, without starting anything."""
    from sessionscribe.batch import check  # noqa: PLC0415

    return check.check(settings, profile_values(options), notify=options.notify, alerts=options.alerts)


@command(
    "batch install",
    SETTINGS,
    argument("--every", "2h", "interval: 30m, 2h, 1d (default: 2h)", default="2h"),
    argument("--with", "", "scheduler (default: the machine's)", dest="kind", choices=KINDS),
    flag("--print", "only show the files"),
)
def _install(options: argparse.Namespace, _: Config) -> int:
    """Run batches regularly, by a systemd timer, a launchd agent or a cron job."""
    from sessionscribe.batch.install import Schedule, install, minutes  # noqa: PLC0415

    schedule = Schedule(Path.cwd(), minutes(options.every), tuple(passed_on(options)))
    install(schedule, kind=options.kind, show=options.print)
    return 0


@command("batch uninstall", SETTINGS)
def _uninstall(_: argparse.Namespace, __: Config) -> int:
    """Remove what `install` installed."""
    from sessionscribe.batch.install import Schedule, uninstall  # noqa: PLC0415

    print("removed" if uninstall(Schedule(Path.cwd())) else "There was no schedule.")
    return 0


@command(
    "batch report",
    *(SETTINGS, JSON),
    argument("--month", "YYYY-MM", "totals of a month (default: the last batch)"),
)
def _report(options: argparse.Namespace, _: Config) -> int:
    """Show what batches did and cost."""
    from sessionscribe.batch import report  # noqa: PLC0415

    if not options.month:
        last = next(report.newest_first(), None)
        print("No batch has run yet." if last is None else last.text() if options.json else last.summary())
        return 0
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", options.month):
        raise UserError(f"`{options.month}` is not a month", where="--month", hint="Write it as 2026-11")
    found = report.sums(report.of_month(options.month))
    print(json.dumps(found, indent=2) if options.json else report.table(found))
    return 0


@command(
    "batch test",
    SETTINGS,
    argument("--session", "SESSION", "session to use (default: a short one)"),
)
def _test(options: argparse.Namespace, settings: Config) -> int:
    """Take a chunk transcript away, run a batch, and put everything back."""
    from sessionscribe.batch import trial  # noqa: PLC0415

    return trial.try_out(Commands(settings, options), settings, options.profile, options.session, Path())
