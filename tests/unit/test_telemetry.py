"""No dependency reports to its makers: what switches that off comes before all of them, and works."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from traced import STRACE, attempts, reporting

ASKED = """
import sessionscribe
import dvc.analytics, huggingface_hub.constants, opentelemetry.sdk.trace
from pyannote.audio.telemetry import metrics
assert not metrics.is_metrics_enabled()
assert not dvc.analytics.is_enabled()
assert huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY
tracer = opentelemetry.sdk.trace.TracerProvider().get_tracer("x")
assert not tracer.start_span("x").is_recording()
"""
LISTENED = """
import sessionscribe, numpy
from sessionscribe.engines.vad import _Network
_Network().probabilities(numpy.zeros((10, 512), numpy.float32))
import time; time.sleep(3)  # reports are sent late
"""


def test_every_switch_works_whatever_the_shell_says(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASKED],
        check=True,
        env=reporting(tmp_path / "home"),
        cwd=tmp_path,
    )


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace here")
def test_a_model_that_listens_calls_nobody_and_leaves_nothing_in_a_users_home(tmp_path: Path) -> None:
    trace, home = tmp_path / "trace", tmp_path / "home"
    command = [*STRACE, str(trace), sys.executable, "-c", LISTENED]
    subprocess.run(command, check=True, env=reporting(home), cwd=tmp_path)
    assert attempts(trace) == []
    assert list(home.iterdir()) == []


def test_nothing_is_set_by_hand_elsewhere() -> None:
    """One module knows the switches, and the package imports it first."""
    scripts = Path(__file__).resolve().parents[2] / "scripts"
    texts = {path: path.read_text(encoding="utf-8") for path in scripts.rglob("*.py")}
    assert [path.name for path, text in texts.items() if "TELEMETRY" in text] == ["telemetry.py"]
