"""The failure of a job whose worker died: it could not note it itself, and status shows what is noted."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sessionscribe.artifacts.provenance import Failure
from sessionscribe.core.errors import UserError
from sessionscribe.jobs.job import note_failure
from sessionscribe.runners.request import notes_for, paths_of, session_of

HINT = "Run again; with too little memory, give it fewer jobs at once (`--cores`, `--resources gpu=1`)"
LAST_LINES = 10


def note_lost(request: Mapping[str, Any], error: Exception) -> None:
    """Note that a job was lost, as it would have noted a failure; jobs without a session have no notes."""
    session = session_of(request)
    if not session:
        return
    log, output = (next(iter(paths_of(request[name])), "") for name in ("log", "output"))
    what = str(error) if isinstance(error, UserError) else f"{error}. {HINT}"
    message = f"{session}: {request['rule']} failed: {what}"
    failure = Failure(session=session, rule=request["rule"], output=output, message=message, log=log)
    note_failure(Path(notes_for(request)[0]), failure)


def end_of_log(request: Mapping[str, Any]) -> str:
    """Return the last lines of a job's log, introduced by a few words; "" if there is no log."""
    for log in paths_of(request["log"])[:1]:
        with suppress(OSError), Path(log).open(encoding="utf-8", errors="replace") as file:
            return f". The end of its log ({log}):\n" + "".join(
                f"  {line}" for line in deque(file, LAST_LINES)
            )
    return ""
