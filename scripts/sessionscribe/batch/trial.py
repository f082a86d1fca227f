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

ORIGINALS = Path("logs/batch/test-originals")


def try_out(commands: Commands, settings: Config, profile: str, session: str | None, root: Path) -> int:
    """Remove a chunk transcript, run a batch of its session, and return 0 if it was made again.

    The original files are put back; if the test is killed, the next test does so.

    Raises:
        UserError: there is no finished session.
    """
    _put_back(root)
    settings = settings.model_copy(update={"batch": settings.batch.model_copy(update=QUIET)})
    name, chunk = _choose(Plan(settings, root), session)
    (root / chunk).rename(_aside(root, chunk))
    try:
        again = Plan(settings, root).sessions[name]
        for step in again.pending.values():
            for path in (*step.outputs, *([] if step.keyed else [step.record])):
                if (root / path).is_file():
                    shutil.copy2(root / path, _aside(root, path))
        print(f"removed: {chunk}")
        code, report = Batch(commands, settings, profile, only=(name,)).run()
        made = (root / chunk).is_file()
        same = made and (root / chunk).read_bytes() == (root / ORIGINALS / chunk).read_bytes()
    finally:
        _put_back(root)
    if code == BUSY or (report and report.skipped):
        print("The test did not run.")
        return code or 1
    print(f"It was {'' if made else 'not '}made again{', identical to the byte' * same}.")
    return 0 if made and not code else 1


QUIET = {"upload": False, "publish": False, "sources": ()}


def _choose(plan: Plan, session: str | None) -> tuple[str, str]:
    """Return a finished session, and one of its chunk transcripts."""
    if session is not None and session not in plan.sessions:
        raise unknown_session(session, plan.sessions, Path("batch test"))
    names = [session] if session else plan.sessions
    finished = [found for name in names if not ((found := plan.sessions[name]).pending or found.blocked)]
    ready = [found for found in finished if found.of(CHUNK)]
    if not ready:
        raise UserError("there is no finished session", where="batch test", hint="Run the workflow first")
    chosen = min(ready, key=lambda found: sum(row.duration_s for row in found.session.rows))
    return chosen.session.name, chosen.of(CHUNK)[0].outputs[0]


def _aside(root: Path, path: str) -> Path:
    """Return where a file is kept during the test."""
    target = root / ORIGINALS / path
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _put_back(root: Path) -> None:
    """Put back the original files."""
    for kept in sorted((root / ORIGINALS).rglob("*")):
        if kept.is_file():
            target = root / kept.relative_to(root / ORIGINALS)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(kept, target)
    shutil.rmtree(root / ORIGINALS, ignore_errors=True)
