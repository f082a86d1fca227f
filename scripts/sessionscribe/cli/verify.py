"""The sub-command ``verify``: compare results with their records."""

from __future__ import annotations

import argparse
from typing import Any

from sessionscribe.cli.options import SESSIONS, SETTINGS, subcommand
from sessionscribe.config.settings import Config
from sessionscribe.core.text import counted
from sessionscribe.planning.plan import Plan
from sessionscribe.planning.verify import verify as differing


def add_arguments(commands: Any) -> None:
    """Add the sub-command to the command's parsers."""
    what = "compare files with their records, and set aside those that differ, to be made again"
    verifies = subcommand(commands, "verify", verify, what, SETTINGS, SESSIONS)
    verifies.add_argument("--quick", action="store_true", help="compare sizes, not content")


def verify(options: argparse.Namespace, config: Config) -> int:
    """Print which files differ from their records; return 1 if any does."""
    plan, differ = Plan(config), 0
    for session in plan.sessions:
        lines, unrecorded = differing(plan.root, session, quick=options.quick)
        for line in (*lines, *(f"{path}: no record tells of it" for path in unrecorded)):
            print(f"{session}: {line}")
        differ += len(lines)
    how = "sizes of the files" if options.quick else "files"
    print(f"{counted(len(plan.sessions), 'session')}: {differ or 'no'} {how} differ")
    return int(differ > 0)
