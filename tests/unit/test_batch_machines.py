"""What a report says of machines: what was seen, and null for what was not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sessionscribe.batch import machines
from sessionscribe.batch.machines import Mark
from sessionscribe.batch.report import BatchReport, now
from sessionscribe.runners.usage_log import MACHINES, TIME, USAGE_LOG

PRICES = """
- {runner: "ec2:*", machine: g5.xlarge, per_hour: 36, currency: USD, date: 2026-01-01, source: a test}
- {runner: "ssh:yen", per_hour: 3600, currency: JPY, date: 2026-01-01, source: a test}
"""
BEGAN = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/prices.yaml").write_text(PRICES)
    return tmp_path


def write(root: Path, name: Path, *records: dict[str, Any]) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    with (root / name).open("a") as file:
        file.writelines(f"{json.dumps(record)}\n" for record in records)


def event(kind: str, after_s: float, runner: str = "ec2:gpu") -> dict[str, str]:
    time = (BEGAN + timedelta(seconds=after_s)).strftime(TIME)
    return {"time": time, "runner": runner, "event": kind, "machine": "g5.xlarge" * (kind == "ready")}


def noted(root: Path, since: Mark = Mark(), *, worked: bool = True) -> BatchReport:  # noqa: B008
    report = BatchReport(timestamp=now(), status="success")
    machines.note(report, since, root, models_worked=worked)
    return report


def test_what_was_started_and_seen_to_stop(root: Path) -> None:
    write(root, MACHINES, event("start", -900), event("stopped", -800))
    since = machines.mark(root)
    kinds = {"start": 0, "ready": 40, "stop": 90, "stopped": 100}
    write(root, MACHINES, *(event(kind, after_s) for kind, after_s in kinds.items()))
    report = noted(root, since)
    assert (report.gpu.we_started_it, report.gpu.was_running) == (True, False)
    assert (report.gpu.runtime_seconds, report.gpu.cost_usd, report.cost) == (100, 1.0, {"USD": 1.0})
    assert report.gpu.stop_time == event("stopped", 100)["time"]
    assert (report.performance.gpu_startup_seconds, report.performance.shutdown_seconds) == (40, 10)
    # Started again after a pause: both count.
    write(root, MACHINES, event("start", 200), event("ready", 210), event("stopped", 300))
    assert (noted(root, since).gpu.runtime_seconds, len(noted(root, since).gpus)) == (200, 2)


def test_a_stop_that_nobody_saw_has_no_time_and_goes_on_costing(root: Path) -> None:
    write(root, MACHINES, event("start", 0), event("ready", 10), event("stop", 20))
    report = noted(root)
    assert (report.gpu.we_started_it, report.gpu.stop_time) == (True, None)
    assert report.gpu.runtime_seconds == pytest.approx((datetime.now(UTC) - BEGAN).total_seconds(), abs=30)
    write(root, MACHINES, event("start", 0, "ec2:other"), event("stopped", 60, "ec2:other"))
    assert noted(root).gpu.stop_time is None, "one of two was not seen to stop"
    write(root, MACHINES, event("refused", 70, "ec2:none"), event("stopped", 80))
    assert noted(root).gpu.stop_time


def test_a_clock_that_is_set_back_earns_no_money(root: Path) -> None:
    write(root, MACHINES, event("start", 0), event("ready", -9), event("stop", -8), event("stopped", -60))
    report = noted(root)
    assert (report.gpu.runtime_seconds, report.gpu.cost_usd, report.cost) == (0, 0, {"USD": 0})
    assert report.performance.gpu_startup_seconds == report.performance.shutdown_seconds == 0


def test_a_start_that_was_refused_costs_nothing(root: Path) -> None:
    write(root, MACHINES, event("start", 0), event("refused", 1))
    report = noted(root, worked=False)
    assert (report.gpu.we_started_it, report.gpu.cost_usd, report.gpus) == (False, 0, [])


def test_a_machine_that_was_up_is_not_ours_and_costs_while_it_is_used(root: Path) -> None:
    write(root, MACHINES, event("running", 0), event("running", 9))  # two runs of one batch
    used = {"runner": "ec2:gpu", "machine": "g5.xlarge", "wall_s": 50.0, "work": {}}
    write(root, USAGE_LOG, used)
    report = noted(root)
    assert (report.gpu.was_running, report.gpu.we_started_it, report.gpu.start_time) == (True, False, None)
    assert (report.gpu.runtime_seconds, report.gpu.cost_usd) == (50, 0.5)


def test_an_unknown_price_or_another_currency_is_null_not_nothing(root: Path) -> None:
    write(root, USAGE_LOG, {"runner": "ssh:yen", "wall_s": 2.0, "work": {}})
    report = noted(root)
    assert (report.gpu.cost_usd, report.cost) == (None, {"JPY": 2.0})
    write(root, USAGE_LOG, {"runner": "ssh:box", "wall_s": 2.0, "work": {}})
    assert (noted(root).gpu.cost_usd, noted(root).cost) == (None, {"JPY": 2.0})
    assert noted(root, machines.mark(root)).gpu.cost_usd is None, "this machine's own work has no price"
    assert noted(root, machines.mark(root), worked=False).gpu.cost_usd == 0
