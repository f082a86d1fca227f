"""The memory benchmark runs and keeps its limit, in its short form."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHMARK = ROOT / "benchmarks" / "memory.py"


@pytest.mark.benchmark
def test_the_short_form_keeps_the_limit() -> None:
    command = [sys.executable, str(BENCHMARK), "--hours", "0.05"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["ok"]
    assert all(20 < figures[stage]["peak_mb"] <= 250 for stage in ("main", "convert", "plan"))
    assert all(100 < figures[stage]["peak_mb"] <= 5000 for stage in ("transcribe", "embed", "cluster"))
    assert figures["worker"]["peak_mb"] == max(figures[s]["peak_mb"] for s in ("transcribe", "embed"))
    assert all(figures[stage]["jobs"] == 1 for stage in ("convert", "plan", "transcribe", "embed"))


def test_what_needs_more_than_its_limit_fails() -> None:
    sys.path.insert(0, str(BENCHMARK.parent))
    from memory import held  # noqa: PLC0415

    stages = {"main": {"peak_mb": 100.0}, "embed": {"peak_mb": 1500.0}}
    assert held(stages, limit_mb=101)
    assert not held(stages, limit_mb=99)
    stages["embed"]["peak_mb"] = 4001.0
    assert not held(stages, limit_mb=101)
