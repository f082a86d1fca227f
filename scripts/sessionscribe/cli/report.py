"""The sub-command ``report``: Snakemake's report of finished sessions, with pictures, audit and cost."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sessionscribe.cli import run, workflow
from sessionscribe.cli.options import SESSIONS, SETTINGS, load, subcommand
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import UserError, complain
from sessionscribe.planning.plan import Plan

MOST = 20
"""Sessions of a report for which none are named: each takes megabytes and, for each chunk, a millisecond."""
RULES = ("draw_session", "list_sessions")


def add_arguments(commands: Any) -> None:
    """Add the sub-command to the command's parsers."""
    what = "write a report of finished sessions, with pictures, audit, run times and cost"
    reports = subcommand(commands, "report", report, what, SETTINGS, SESSIONS)
    reports.add_argument(
        *("--output", "--to"),
        default="report.html",
        metavar="FILE",
        help=".html or .zip (default: report.html)",
    )


def files(sessions: Iterable[str]) -> list[str]:
    """Return the files of sessions that a report shows."""
    return ["results/report/sessions.html", *(f"results/report/{name}/timeline.svg" for name in sessions)]


def report(options: argparse.Namespace, config: Config) -> int:
    """Redraw the charts and let Snakemake write the report; return its exit code.

    Raises:
        UserError: there are no sessions, one of them is not finished, or the file has a wrong ending.
    """
    if Path(options.output).suffix not in (".html", ".zip"):
        raise UserError("is neither .html nor .zip", where=options.output, hint="Name such a file")
    every = list(Plan(config).sessions)  # or those that were named
    names = every[-MOST:] if not options.sessions else every
    if not names:
        raise UserError("there are no sessions yet", where="report", hint="Add some with `sessionscribe add`")
    for session in Plan(load(options, names)).sessions.values():
        if session.pending or session.blocked or session.session.problem:
            hint = "Run `sessionscribe run` first, or name the sessions to report"
            raise UserError("is not finished", where=f"session {session.session.name}", hint=hint)
    if len(names) < len(every):
        complain(f"the last {MOST} sessions are in the report; name others to have those")
    for arguments in ([*files(names), "--forcerun", *RULES], ["--report", options.output]):
        if code := run.make(options, workflow.parse(arguments), names):
            return code
    print(options.output)
    return 0
