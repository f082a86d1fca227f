"""The machines that a batch used, and their cost, from the logs of machines and usage."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from sessionscribe.batch.report import BatchReport, Gpu, Machine, moment
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
    """Note in a report which machines have been used since a mark, what they cost, how long they started.

    If models worked on this machine (``models_worked``), the cost is unknown.
    """
    events = read_events(root / MACHINES, since.machines)
    usage = read_usage(root / USAGE_LOG, since.usage)
    prices = costs.known_prices(root / costs.PRICES)
    report.gpus, report.cost = _used(events, usage), {}
    for machine in report.gpus:
        noted = [record for record in usage if record["runner"] == machine.runner]
        if machine.start_time:
            until = moment(machine.stop_time) if machine.stop_time else datetime.now(UTC)
            machine.runtime_seconds = _seconds(moment(machine.start_time), until)
        else:
            machine.runtime_seconds = round(sum(record["wall_s"] for record in noted), 3)
        # The price noted when it was used, if any, or the present one.
        about = noted[-1] if noted else {"runner": machine.runner, "machine": machine.machine}
        machine.cost_usd = None
        if price := costs.price_of(about, prices):
            amount = round(price.per_hour * machine.runtime_seconds / 3600, 6)
            report.cost[price.currency] = round(report.cost.get(price.currency, 0.0) + amount, 6)
            machine.cost_usd = amount if price.currency == USD else None
    report.gpu = _together(report.gpus) if report.gpus else Gpu(cost_usd=None if models_worked else 0.0)
    times = report.performance
    times.gpu_startup_seconds = _between(events, "start", "ready")
    times.shutdown_seconds = _between(events, "stop", "stopped")


def is_stopping(since: Mark, root: Path) -> bool:
    """Return whether a machine that was started since a mark has not been seen to stop."""
    last = {event["runner"]: event["event"] for event in read_events(root / MACHINES, since.machines)}
    return any(event in ("start", "ready", "stop") for event in last.values())


def _used(events: Iterable[dict[str, Any]], usage: Iterable[dict[str, Any]]) -> list[Machine]:
    """Return a machine for each start, each that was up before, and each that is not managed here."""
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
        elif machine and kind == "stopped":
            machine.stop_time = time
            del running[runner]
        elif machine and kind == "refused":
            made.remove(running.pop(runner))
    managed = {event["runner"] for event in events}
    given = dict.fromkeys(record["runner"] for record in usage if record["runner"] not in managed)
    return made + [Machine(runner=runner, was_running=True) for runner in given]


def _together(machines: list[Machine]) -> Gpu:
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


def _between(events: Iterable[dict[str, Any]], first: str, last: str) -> float:
    """Return the total of seconds between pairs of events of the same machine."""
    total, since = 0.0, dict[str, datetime]()
    for event in events:
        if event["event"] == first:
            since.setdefault(event["runner"], moment(event["time"]))
        elif event["event"] == last and (began := since.pop(event["runner"], None)):
            total += _seconds(began, moment(event["time"]))
    return total


def _seconds(began: datetime, ended: datetime) -> float:
    """Return the seconds between two moments; 0 if the clock was set back in between."""
    return max(0.0, (ended - began).total_seconds())
