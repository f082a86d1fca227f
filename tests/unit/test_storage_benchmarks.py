"""What the benchmarks of listing and cache hold, in their short forms; seconds are looked at by hand."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

from project import ROOT

FOLDERS_ABOVE = 8
"""`users`, and seven users."""


def test_a_listing_asks_once_a_folder() -> None:
    spec = importlib.util.spec_from_file_location("listing_benchmark", ROOT / "benchmarks/listing.py")
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    found = benchmark.measure(12, 0.02)
    assert found["lists"] == 12 + FOLDERS_ABOVE


def test_a_fifth_of_the_room_serves_seven_tenths_of_the_uses_and_is_never_exceeded() -> None:
    command = [sys.executable, str(ROOT / "benchmarks/cache.py"), "--uses", "1500"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["hit_rate"] >= 0.7
    assert found["peak_share"] <= 0.2
