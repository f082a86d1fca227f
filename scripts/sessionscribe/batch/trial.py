"""`sessionscribe batch test`: a chunk transcript is taken away, made again, and all put back as it was."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sessionscribe.batch.once import BUSY, Batch, Tools
from sessionscribe.batch.scan import CHUNK
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError, unknown_session
from sessionscribe.planning.plan import Plan

ORIGINALS = Path("logs/batch/test-originals")


def try_out(tools: Tools, settings: Config, profile: str, session: str | None, root: Path) -> int:
    """Take a chunk transcript away, run a batch of its session, and return 0 if it was made again.

    What was there is put back, also by the next test where this one is killed.

    Raises:
        UserError: there is no finished session.
    """
    _put_back(root)
    plan = tools.plan()
    settings = settings.model_copy(update={"batch": settings.batch.model_copy(update=QUIET)})
    name, chunk = _choose(plan, session)
    (root / chunk).rename(_aside(root, chunk))
    try:
        again = tools.plan().sessions[name]
        for step in again.pending.values():
            for path in (*step.outputs, *([] if step.keyed else [step.record])):
                if (root / path).is_file():
                    shutil.copy2(root / path, _aside(root, path))
        print(f"taken away: {chunk}")
        code, report = Batch(tools, settings, profile, only=(name,)).run()
        made = (root / chunk).is_file()
        same = made and (root / chunk).read_bytes() == (root / ORIGINALS / chunk).read_bytes()
    finally:
        _put_back(root)
    if code == BUSY or (report and report.skipped):
        print("The test did not run.")
        return code or 1
    print(f"It was {'made again' if made else 'not made again'}{', the same to the byte' * same}.")
    return 0 if made and not code else 1


QUIET = {"upload": False, "publish": False, "sources": ()}


def _choose(plan: Plan, session: str | None) -> tuple[str, str]:
    """Return a session that is finished, and one of its chunk transcripts."""
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
    """Return where a file is kept meanwhile."""
    target = root / ORIGINALS / path
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _put_back(root: Path) -> None:
    """Put back what was taken away, each file at once."""
    for kept in sorted((root / ORIGINALS).rglob("*")):
        if kept.is_file():
            target = root / kept.relative_to(root / ORIGINALS)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(kept, target)
    shutil.rmtree(root / ORIGINALS, ignore_errors=True)
