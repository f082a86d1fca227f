"""The sub-command ``work``: run jobs from a mailbox."""

from __future__ import annotations

import argparse
from typing import Any

from sessionscribe.cli.options import subcommand


def add_arguments(commands: Any) -> None:
    """Add the sub-command to the command's parsers."""
    works = subcommand(commands, "work", command, "work on jobs from a mailbox (docs/runners/mailbox.md)")
    works.add_argument("place", metavar="PLACE", help="a folder, `remote:path` or `s3://bucket/path`")
    works.add_argument("--lanes", type=int, default=1, metavar="N", help="jobs at once (default: 1)")
    works.add_argument("--hours", type=float, default=0.0, metavar="N", help="take no new jobs after N hours")


def command(options: argparse.Namespace) -> int:
    """Run jobs until interrupted or the time is over."""
    from sessionscribe.runners import mailbox_worker  # noqa: PLC0415 -- of no use to the other commands

    done = mailbox_worker.serve(options.place, lanes=options.lanes, hours=options.hours)
    print(f"{done} jobs done.")
    return 0
