"""``report``: Snakemake's report of finished sessions, with pictures, audit and cost."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from sessionscribe.cli import run, workflow
from sessionscribe.cli.options import SESSIONS, SETTINGS, argument, command, load
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError, complain
from sessionscribe.planning.plan import Plan

MOST = 20
"""Sessions in a report by default: each adds megabytes, and a millisecond for each chunk."""
RULES = ("draw_session", "list_sessions")


def files(sessions: Iterable[str]) -> list[str]:
    """Return the files that a report of these sessions shows."""
    return ["results/report/sessions.html", *(f"results/report/{name}/timeline.svg" for name in sessions)]


@command(
    "report",
    *(SETTINGS, SESSIONS),
    argument("--output --to", "FILE", ".html or .zip (default: report.html)", default="report.html"),
)
def report(options: argparse.Namespace, config: Config) -> int:
    """Write a report of finished sessions, with pictures, audit, run times and cost.

    Raises:
        UserError: there are no sessions, one of them is not finished, or the file has a wrong ending.
    """
    if Path(options.output).suffix not in (".html", ".zip"):
        raise UserError("is neither .html nor .zip", where=options.output, hint="Name such a file")
    every = list(Plan(config).sessions)
    names = every[-MOST:] if not options.sessions else every
    if not names:
        raise UserError("there are no sessions yet", where="report", hint="Add some with `sessionscribe add`")
    for session in Plan(load(options, names)).sessions.values():
        if session.pending or session.blocked or session.session.problem:
            hint = "Run `sessionscribe run` first, or name the sessions to report"
            raise UserError("is not finished", where=f"session {session.session.name}", hint=hint)
    if len(names) < len(every):
        complain(f"the report has the last {MOST} sessions; name sessions to choose others")
    for arguments in ([*files(names), "--forcerun", *RULES], ["--report", options.output]):
        if code := run.make(options, workflow.parse(arguments), names):
            return code
    print(options.output)
    return 0
