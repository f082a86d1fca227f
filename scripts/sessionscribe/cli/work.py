"""``work``: run jobs from a mailbox."""

from __future__ import annotations

import argparse

from sessionscribe.cli.options import argument, command
from sessionscribe.runners import mailbox_worker


@command(
    "work",
    argument("place", "PLACE", "a folder, `remote:path` or `s3://bucket/path`"),
    argument("--lanes", "N", "jobs at once (default: 1)", type=int, default=1),
    argument("--hours", "N", "take no new jobs after N hours", type=float, default=0.0),
)
def work(options: argparse.Namespace) -> int:
    """Work on jobs from a mailbox (docs/runners/mailbox.md)."""
    done = mailbox_worker.serve(options.place, lanes=options.lanes, hours=options.hours)
    print(f"{done} jobs done.")
    return 0
