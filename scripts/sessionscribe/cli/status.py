"""``status``: the state of every session."""

from __future__ import annotations

import argparse
import dataclasses
import json

from sessionscribe.batch.watch import read_refused
from sessionscribe.cli.options import JSON, SESSIONS, SETTINGS, argument, command, flag
from sessionscribe.cli.save import status_from
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import complain, visible
from sessionscribe.planning import status
from sessionscribe.planning.plan import NO_SESSIONS, Plan
from sessionscribe.runners import costs
from sessionscribe.runners.usage_log import USAGE_LOG, read_usage


@command(
    "status",
    *(SETTINGS, SESSIONS, JSON),
    flag("--cost", "show what remote machines have cost"),
    argument("--from", "PLACE", "progress of a run elsewhere that saves to this place", dest="place"),
)
def show(options: argparse.Namespace, config: Config) -> int:
    """Show the state of every session."""
    if options.place:
        return status_from(options.place, config)
    if options.cost:
        records, prices = read_usage(USAGE_LOG), costs.read_prices(costs.PRICES)
        print(json.dumps(costs.figures(records, prices)) if options.json else costs.table(records, prices))
        return 0
    plan = Plan(config)
    rows, refused = status.collect(plan), read_refused()
    for remark in plan.warnings:
        complain(remark)
    if options.json:
        sessions = [dataclasses.asdict(row) for row in rows]
        print(json.dumps({"sessions": sessions, "refused": refused}, ensure_ascii=False))
        return 0
    print(status.table(rows) if rows else NO_SESSIONS)
    for source, reason in refused.items():
        print(f"\nrefused {visible(source)}: {reason}")
    return 0
