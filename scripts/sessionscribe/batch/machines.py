"""The machines that a batch used, and their cost, from the logs of machines and usage."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from sessionscribe.batch.report import BatchReport, Gpu, Machine, moment, now
from sessionscribe.runners import costs
from sessionscribe.runners.usage_log import MACHINES, USAGE_LOG, read_events, read_usage

USD = "USD"


class Mark(NamedTuple):
    """The sizes of the two logs in bytes when a batch began: what follows belongs to that batch."""

    machines: int = 0
    usage: int = 0


def mark(root: Path) -> Mark:
    """Return the present sizes of the logs."""

    def size(path: Path) -> int:
        return path.stat().st_size if path.exists() else 0

    return Mark(size(root / MACHINES), size(root / USAGE_LOG))


def note(report: BatchReport, since: Mark, root: Path, *, models_worked: bool) -> None:
    """Note in a report which machines were used since a mark, their cost, and how long they took to start.

    If none was, and models worked on this machine (``models_worked``), the cost is unknown.
    """
    events = read_events(root / MACHINES, since.machines)
    usage = read_usage(root / USAGE_LOG, since.usage)
    prices = costs.known_prices(root / costs.PRICES)
    report.gpus, report.cost = used(events, usage), {}
    for machine in report.gpus:
        records = [record for record in usage if record["runner"] == machine.runner]
        if machine.start_time:
            machine.runtime_seconds = _between(machine.start_time, machine.stop_time or now())
        else:
            machine.runtime_seconds = round(sum(record["wall_s"] for record in records), 3)
        # The price noted when it was used, if any, or the present one.
        about = records[-1] if records else {"runner": machine.runner, "machine": machine.machine}
        machine.cost_usd = None
        if price := costs.price_of(about, prices):
            amount = round(price.per_hour * machine.runtime_seconds / 3600, 6)
            report.cost[price.currency] = round(report.cost.get(price.currency, 0.0) + amount, 6)
            machine.cost_usd = amount if price.currency == USD else None
    report.gpu = _totals(report.gpus) if report.gpus else Gpu(cost_usd=None if models_worked else 0.0)
    times = report.performance
    times.gpu_startup_seconds = sum(_between(use.start_time, use.ready_time) for use in report.gpus)
    times.shutdown_seconds = sum(_between(use.stop_asked_time, use.stop_time) for use in report.gpus)


def used(events: Iterable[dict[str, Any]], usage: Iterable[dict[str, Any]]) -> list[Machine]:
    """Return one use for each start, for each machine that was up before, and for each not managed here."""
    made: list[Machine] = []
    running: dict[str, Machine] = {}
    for event in events:
        runner, kind, time = event["runner"], event["event"], event["time"]
        machine = running.get(runner)
        if kind == "start":
            machine = running[runner] = Machine(runner=runner, we_started_it=True, start_time=time)
            made.append(machine)
        elif kind == "running" and not any(one.runner == runner and one.was_running for one in made):
            made.append(Machine(runner=runner, was_running=True))
        elif machine and kind == "ready":
            machine.ready_time, machine.machine = time, event.get("machine", "")
        elif machine and kind == "stop":
            machine.stop_asked_time = machine.stop_asked_time or time
        elif machine and kind == "stopped":
            machine.stop_time = time
            del running[runner]
        elif machine and kind == "refused":
            made.remove(running.pop(runner))
    managed = {event["runner"] for event in events}
    given = dict.fromkeys(record["runner"] for record in usage if record["runner"] not in managed)
    return made + [Machine(runner=runner, was_running=True) for runner in given]


def _totals(machines: list[Machine]) -> Gpu:
    ours = [machine for machine in machines if machine.we_started_it]
    amounts = [machine.cost_usd for machine in machines]
    known = [amount for amount in amounts if amount is not None]
    stops = [machine.stop_time for machine in ours if machine.stop_time]
    return Gpu(
        was_running=any(machine.was_running for machine in machines),
        we_started_it=bool(ours),
        start_time=min((machine.start_time for machine in ours if machine.start_time), default=None),
        stop_time=max(stops, default=None) if len(stops) == len(ours) else None,
        runtime_seconds=round(sum(machine.runtime_seconds for machine in machines), 3),
        cost_usd=round(sum(known), 6) if len(known) == len(amounts) else None,
    )


def _between(began: str | None, ended: str | None) -> float:
    """Return the seconds between two times; 0 if one is unknown, or the clock was set back in between."""
    return max(0.0, (moment(ended) - moment(began)).total_seconds()) if began and ended else 0.0
