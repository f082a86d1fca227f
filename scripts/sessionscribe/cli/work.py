"""``work``: run jobs from a mailbox."""

from __future__ import annotations

import argparse

from sessionscribe.cli.options import argument, command


@command(
    "work",
    argument("place", metavar="PLACE", help="a folder, `remote:path` or `s3://bucket/path`"),
    argument("--lanes", type=int, default=1, metavar="N", help="jobs at once (default: 1)"),
    argument("--hours", type=float, default=0.0, metavar="N", help="take no new jobs after N hours"),
)
def work(options: argparse.Namespace) -> int:
    """Work on jobs from a mailbox (docs/runners/mailbox.md)."""
    from sessionscribe.runners import mailbox_worker  # noqa: PLC0415 -- of no use to the other commands

    done = mailbox_worker.serve(options.place, lanes=options.lanes, hours=options.hours)
    print(f"{done} jobs done.")
    return 0
