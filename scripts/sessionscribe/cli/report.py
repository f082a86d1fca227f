"""The sub-command ``report``: Snakemake's report of finished sessions, with pictures, audit and cost."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from sessionscribe.core.errors import UserError, complain
from sessionscribe.planning.plan import Plan

MOST = 20
"""Sessions of a report for which none are named: each takes megabytes and, for each chunk, a millisecond."""
RULES = ("draw_session", "list_sessions")


def add_arguments(commands: Any, parents: Sequence[argparse.ArgumentParser]) -> None:
    """Add the sub-command to the command's parsers."""
    reports = commands.add_parser(
        "report",
        parents=list(parents),
        allow_abbrev=False,
        help="write a report of finished sessions, with pictures, audit, run times and cost",
        description="Write a report of finished sessions, which opens without a network.",
    )
    reports.add_argument(
        *("--output", "--to"),
        default="report.html",
        metavar="FILE",
        help="html, or zip for many sessions (default: report.html)",
    )


def files(sessions: Iterable[str]) -> list[str]:
    """Return what to ask for, so that all that a report shows of sessions is made."""
    return ["results/report/sessions.html", *(f"results/report/{name}/timeline.svg" for name in sessions)]


def report(
    options: argparse.Namespace,
    load: Callable[[Sequence[str]], Plan],
    make: Callable[[Sequence[str], Sequence[str]], int],
) -> int:
    """Draw the pictures anew and let Snakemake write the report; return its exit code.

    Args:
        options: the command's.
        load: returns the plan of sessions; of none named: of all.
        make: runs Snakemake with arguments for sessions.

    Raises:
        UserError: there are no sessions, one of them is not finished, or the file has a wrong ending.
    """
    if Path(options.output).suffix not in (".html", ".zip"):
        raise UserError("is neither .html nor .zip", where=options.output, hint="Name such a file")
    every = list(load(()).sessions)
    names = options.sessions or every[-MOST:]
    if not names:
        raise UserError("there are no sessions yet", where="report", hint="Add some with `sessionscribe add`")
    for session in load(names).sessions.values():
        if session.pending or session.blocked or session.session.problem:
            hint = "Run `sessionscribe run` first, or name the sessions to report"
            raise UserError("is not finished", where=f"session {session.session.name}", hint=hint)
    if len(names) < len(every) and not options.sessions:
        complain(f"the last {MOST} sessions are in the report; name others to have those")
    code = make([*files(names), "--forcerun", *RULES], names) or make(["--report", options.output], names)
    if not code:
        print(options.output)
    return code
