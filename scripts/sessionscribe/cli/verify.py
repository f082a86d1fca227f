"""``verify``: compare results with their records."""

from __future__ import annotations

import argparse

from sessionscribe.cli.options import SESSIONS, SETTINGS, command, flag
from sessionscribe.config.settings import Config
from sessionscribe.core.text import counted
from sessionscribe.planning.plan import Plan
from sessionscribe.planning.verify import verify as differing


@command("verify", SETTINGS, SESSIONS, flag("--quick", "compare sizes, not content"))
def verify(options: argparse.Namespace, config: Config) -> int:
    """Compare files with their records, and set aside those that differ, to be made again.

    Returns 1 if there is one.
    """
    plan, differ = Plan(config), 0
    for session in plan.sessions:
        lines, unrecorded = differing(plan.root, session, quick=options.quick)
        for line in (*lines, *(f"{path}: there is no record of it" for path in unrecorded)):
            print(f"{session}: {line}")
        differ += len(lines)
    how = "sizes of the files" if options.quick else "files"
    print(f"{counted(len(plan.sessions), 'session')}: {differ or 'no'} {how} differ")
    return int(differ > 0)
