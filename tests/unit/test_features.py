"""What the speech model hears: the same bits whatever the processor, and what it was trained on."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from sessionscribe.engines.features import Features

SECONDS = 6
ASKED = f"""
import hashlib, numpy as np
from faster_whisper.feature_extractor import FeatureExtractor
from sessionscribe.engines.features import Features
samples = np.random.default_rng(1).normal(0, 0.1, 16000 * {SECONDS}).astype(np.float32)
print(hashlib.sha256(Features(FeatureExtractor())(samples).tobytes()).hexdigest())
"""


def noise() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 0.1, 16_000 * SECONDS).astype(np.float32)


@pytest.mark.parametrize("bands", [80, 128])
def test_they_are_those_of_faster_whisper_but_for_the_last_digits(bands: int) -> None:
    engine = FeatureExtractor(feature_size=bands)
    found, expected = Features(engine)(noise()), engine(noise())
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_threads_and_instructions_change_no_bit() -> None:
    machines = (
        {"OMP_NUM_THREADS": "1"},
        {"OMP_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Haswell"},
        {"OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR"},
    )
    command = [sys.executable, "-W", "ignore", "-c", ASKED]
    started = [
        subprocess.Popen(command, env=os.environ | machine, stdout=subprocess.PIPE) for machine in machines
    ]
    assert len({process.communicate()[0] for process in started}) == 1
    assert [process.returncode for process in started] == [0, 0, 0]
