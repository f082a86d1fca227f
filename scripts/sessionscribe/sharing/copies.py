"""Remove copies of remote recordings that are no longer needed."""

from __future__ import annotations

from sessionscribe.config import settings
from sessionscribe.planning.plan import Plan
from sessionscribe.stages.ingest import remote
from sessionscribe.storage.locations import is_remote


def release(plan: Plan, options: settings.Ingest) -> int:
    """Remove copies of finished sessions' recordings, and old ones; return the number of the former.

    Copies that unfinished sessions also need, or that jobs are reading, stay.
    """
    needed: dict[bool, set[tuple[str, str]]] = {True: set(), False: set()}
    for session in plan.sessions.values():
        rows = {(row.source, row.checksum) for row in session.session.rows if is_remote(row.source)}
        needed[bool(session.pending)] |= rows
    if options.cache.keep or not needed[False] | needed[True]:
        return 0
    return remote.discard(needed[False], needed[True], options)
