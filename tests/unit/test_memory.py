"""The memory benchmark runs and keeps its limit, in its short form."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHMARK = ROOT / "benchmarks" / "memory.py"


@pytest.mark.skipif(
    not (ROOT / "resources" / "demo" / "recordings" / "meeting.mp4").exists(),
    reason="no demo recordings here",
)
def test_the_short_form_keeps_the_limit() -> None:
    command = [sys.executable, str(BENCHMARK), "--hours", "0.05"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["ok"]
    assert all(0 < figures[stage]["peak_mb"] <= 250 for stage in ("convert", "plan"))
    assert all(100 < figures[stage]["peak_mb"] <= 5000 for stage in ("embed", "cluster"))
    low = subprocess.run([*command, "--limit-mb", "1"], capture_output=True, text=True, check=False)
    assert low.returncode == 1
