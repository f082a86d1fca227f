"""The order in which sessions are worked on: for job priorities and ``--max-sessions``."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sessionscribe.config.settings import Batch
from sessionscribe.manifest.manifest import Session
from sessionscribe.storage.locations import is_remote

MOST = 1000
LONG_AGO = datetime.fromtimestamp(0, UTC)


def in_order(sessions: Iterable[Session], options: Batch, root: Path = Path()) -> list[Session]:
    """Return sessions in the order in which they should be worked on.

    First come those with the highest ``priority`` in the manifest (default: 0), of these the ones that were
    added more than ``batch.age_boost_hours`` ago, the oldest first, then the others by ``batch.order``.
    """
    late = datetime.now(UTC) - timedelta(hours=options.age_boost_hours)

    def rank(session: Session) -> tuple[float, ...]:
        added = added_at(session)
        waiting = (0.0, added.timestamp()) if added and added < late else (1.0, 0.0)
        priority = max((row.priority or 0 for row in session.rows), default=0)
        return (-priority, *waiting, _rank(session, options.order, root))

    return sorted(sessions, key=rank)


def priorities(sessions: Iterable[Session], options: Batch, root: Path = Path()) -> dict[str, int]:
    """Return the job priority of each session, from ``MOST`` - 1 for the first down to 1."""
    return {
        session.name: max(1, MOST - number)
        for number, session in enumerate(in_order(sessions, options, root), 1)
    }


def added_at(session: Session) -> datetime | None:
    """Return when the newest row of a session was added; None if that is not known."""
    return max((time for row in session.rows if (time := _time(row.added_at))), default=None)


def _rank(session: Session, order: str, root: Path) -> float:
    if order == "shortest":
        return sum(row.duration_s for row in session.rows)
    if order == "manifest":
        return 0.0
    time = _recorded_at(session, root).timestamp()
    return time if order == "oldest" else -time


def _recorded_at(session: Session, root: Path) -> datetime:
    """Return when a session was recorded: by the manifest, or else by its newest file."""
    if noted := [time for row in session.rows if (time := _time(row.recorded_at))]:
        return max(noted)
    newest = session.rows[-1].source
    if not is_remote(newest):
        try:
            return datetime.fromtimestamp((root / newest).stat().st_mtime, UTC)
        except OSError:  # removed, or on a drive that is not connected
            pass
    return added_at(session) or LONG_AGO


def _time(text: str) -> datetime | None:
    """Parse an ISO 8601 date or time, UTC by default; None if it is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
