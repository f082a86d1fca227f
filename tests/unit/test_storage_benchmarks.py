"""What the benchmarks of listing, cache and publishing hold, in short; seconds are looked at by hand."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from typing import Any

import pytest

from project import ROOT

pytestmark = pytest.mark.benchmark

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


def benchmark(name: str, *options: str) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / f"benchmarks/{name}.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_fifth_of_the_room_serves_seven_tenths_of_the_uses_and_is_never_exceeded() -> None:
    found = benchmark("cache", "--uses", "1000")
    assert found["hit_rate"] >= 0.7
    assert found["peak_share"] <= 0.2


def test_publishing_and_pulling_are_measured() -> None:
    found = benchmark("publish", "--short")
    assert found["ok"]
    assert found["figures"]["publish, nothing new"]["cpu_s"] < found["figures"]["publish"]["cpu_s"]
