"""`sessionscribe batch test`: remove a chunk transcript, let a batch make it again, put everything back."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sessionscribe.batch.once import BUSY, Batch, Commands
from sessionscribe.batch.scan import CHUNK
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError, unknown_session
from sessionscribe.planning.plan import Plan
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.session_files import is_audio, session_files

ORIGINALS = Path("logs/batch/test-originals")
QUIET = {"upload": False, "publish": False, "sources": ()}


def try_out(commands: Commands, settings: Config, profile: str, name: str | None, root: Path) -> int:
    """Remove a chunk transcript, run a batch of its session, and return 0 if it was made again.

    The session's files are put back; if the test is killed, the next test does so.

    Raises:
        UserError: there is no finished session.
    """
    _put_back(root)
    settings = settings.model_copy(update={"batch": settings.batch.model_copy(update=QUIET)})
    session = _choose(Plan(settings, root), name)
    for path in session_files(session):
        if not is_audio(path) and (root / path).is_file():
            kept = root / ORIGINALS / path
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / path, kept)
    chunk = session.of(CHUNK)[0].outputs[0]
    (root / chunk).unlink()
    print(f"removed: {chunk}")
    try:
        code, report = Batch(commands, settings, profile, only=(session.session.name,)).run()
        made = (root / chunk).is_file()
        same = made and (root / chunk).read_bytes() == (root / ORIGINALS / chunk).read_bytes()
    finally:
        _put_back(root)
    if code == BUSY or (report and report.skipped):
        print("The test did not run.")
        return code or 1
    print(f"It was {'' if made else 'not '}made again{', identical to the byte' * same}.")
    return 0 if made and not code else 1


def _choose(plan: Plan, name: str | None) -> SessionPlan:
    """Return the finished session of that name, or else the shortest one."""
    if name is not None and name not in plan.sessions:
        raise unknown_session(name, plan.sessions, Path("batch test"))
    sessions = [plan.sessions[name]] if name else plan.sessions.values()
    ready = [found for found in sessions if not (found.pending or found.blocked) and found.of(CHUNK)]
    if not ready:
        raise UserError("there is no finished session", where="batch test", hint="Run the workflow first")
    return min(ready, key=lambda found: sum(row.duration_s for row in found.session.rows))


def _put_back(root: Path) -> None:
    for kept in sorted((root / ORIGINALS).rglob("*")):
        if kept.is_file():
            target = root / kept.relative_to(root / ORIGINALS)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(kept, target)
    shutil.rmtree(root / ORIGINALS, ignore_errors=True)
