"""The benchmark of the scan in its short form: it works, and finds exactly what is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.benchmark
ARCHIVES = ("3 × 4", "5 × 4")


def test_the_scan_finds_exactly_what_is_missing(tmp_path: Path) -> None:
    """The benchmark itself compares what was found with what was taken away, and fails if they differ."""
    command = [sys.executable, str(ROOT / "benchmarks/scan.py"), "--short", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    wanted = {
        f"{what}, {archive}, {state}"
        for what in ("dry run", "status")
        for archive in ARCHIVES
        for state in ("finished", "1 % missing")
    }
    assert set(found["figures"]) == {"first job, 3 × 2"} | wanted
    assert all(figure["cpu_s"] > 0 and figure["peak_mb"] > 0 for figure in found["figures"].values())
