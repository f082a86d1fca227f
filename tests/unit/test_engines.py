"""The engines' adapters, as far as they can be tested without a GPU and without a model."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from sessionscribe.core.errors import UserError
from sessionscribe.engines import models

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


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    for name in ("model.bin", "config.json", "vocabulary.txt"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"tokenizer\.json missing"):
        models.check_folder(tmp_path, models.WHISPER_FILES)
