"""Cutting loses nothing and words have the right times: the benchmarks of accuracy, in their short forms."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from project import ROOT


def benchmark(name: str) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / f"benchmarks/{name}.py"), "--short"]
    # A thread for each run: those of the model's libraries would wait for one another.
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=800, env=alone)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_no_word_is_lost_or_doubled_where_chunks_meet() -> None:
    found = benchmark("seams")
    for kind in ("silence", "forced"):
        assert found["seams"][kind]["seams"] >= 9
        assert all(found["seams"][kind][what] == [] for what in ("lost", "lost_talked_over", "doubled"))
    assert found["moved_cuts"]["words"] > 100
    assert found["moved_cuts"]["share"] <= found["engine_noise"]["share"]
    assert found["wer"]["whole"] < 0.1


def test_word_times_are_right_and_do_not_drift() -> None:
    found = benchmark("word_times")
    assert found["sparse"]["minutes"] > 14
    assert found["sparse"]["found"] > 0.9 * found["sparse"]["words"]
    assert all(found["held"]["sparse"].values())
