"""The failure of a job whose worker died: it could not note it itself, and status shows what is noted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sessionscribe.artifacts.provenance import Failure
from sessionscribe.core.errors import UserError
from sessionscribe.jobs.job import note_failure
from sessionscribe.runners.request import notes_for, paths_of, session_of

HINT = "Run again; with too little memory, give it fewer jobs at once (`--cores`, `--resources gpu=1`)"


def note_lost(request: Mapping[str, Any], error: Exception) -> None:
    """Note that a job was lost, as it would have noted a failure; jobs without a session have no notes."""
    session = session_of(request)
    if not session:
        return
    log, output = (next(iter(paths_of(request[name])), "") for name in ("log", "output"))
    # A death is told in one sentence before the end of the log; other errors say what to do.
    what = str(error) if isinstance(error, UserError) else f"{str(error).partition('. ')[0]}. {HINT}"
    message = f"{session}: {request['rule']} failed: {what}"
    failure = Failure(session=session, rule=request["rule"], output=output, message=message, log=log)
    note_failure(Path(notes_for(request)[0]), failure)
