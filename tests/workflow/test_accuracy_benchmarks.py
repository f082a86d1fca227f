"""Words have the right times: the benchmark in its short form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from project import ROOT

pytestmark = pytest.mark.benchmark


def benchmark(name: str) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / f"benchmarks/{name}.py"), "--short"]
    # A thread for each run: those of the model's libraries would wait for one another.
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=800, env=alone)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_word_times_are_right_and_do_not_drift() -> None:
    found = benchmark("word_times")
    assert found["sparse"]["minutes"] > 14
    assert found["sparse"]["found"] > 0.9 * found["sparse"]["words"]
    assert all(found["held"]["sparse"].values())
