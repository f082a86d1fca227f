"""The engines' adapters, as far as they can be tested without a GPU and without a model."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from sessionscribe.core.errors import UserError
from sessionscribe.engines.whisper import check_folder

LOADED = """
import ctypes
from sessionscribe.engines.whisper import load_cublas
try:
    ctypes.CDLL("libcublas.so.12")
except OSError:
    load_cublas()
    ctypes.CDLL("libcublas.so.12")
"""


@pytest.mark.skipif(
    not any(distributions(name="nvidia-cublas-cu12")), reason="set-up without a GPU leaves its package out"
)
def test_cublas_is_found_by_the_name_that_ctranslate2_asks_for() -> None:
    subprocess.run([sys.executable, "-c", LOADED], check=True)


def test_pyannote_is_imported_with_its_telemetry_off() -> None:
    code = (
        "import os; os.environ['PYANNOTE_METRICS_ENABLED'] = '1'\n"
        "import sessionscribe.engines.pyannote\n"
        "from pyannote.audio.telemetry import metrics\n"
        "assert not metrics.is_metrics_enabled()\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_the_speech_detector_leaves_nothing_in_a_users_home(tmp_path: Path) -> None:
    """onnxruntime keeps an identifier for its telemetry there, where it has not been told early enough."""
    code = (
        "import numpy; from sessionscribe.engines.vad import _Network\n"
        "_Network().probabilities(numpy.zeros((10, 512), numpy.float32))\n"
    )
    env = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    env.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", code], check=True, env=env, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    for name in ("model.bin", "config.json", "vocabulary.txt"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"tokenizer\.json missing"):
        check_folder(tmp_path)
