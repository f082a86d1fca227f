"""The benchmarks of speed work, in their short forms; their times are looked at by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from project import ROOT, TOY

pytestmark = pytest.mark.benchmark


def benchmark(name: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / f"benchmarks/{name}.py"), "--short", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=800)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_pipeline_is_measured_against_the_bare_engines() -> None:
    found = benchmark("pipeline")
    ours, bare = found["ours"], found["bare"]
    assert found["cpu_ratio"] == pytest.approx(
        ours["cpu_s"] / (bare["speech"]["cpu_s"] + bare["diarization"]["cpu_s"]), abs=0.001
    )
    assert ours["words"] > 100
    assert ours["words"] == pytest.approx(bare["words"], rel=0.2), "both did the same work"
    assert bare["turns"] > 10
    assert found["rules"]["transcribe_chunk"]["jobs"] == 1


def test_a_random_model_says_so_many_words_whatever_it_hears(tmp_path: Path) -> None:
    import faster_whisper  # noqa: PLC0415
    from faster_whisper.audio import decode_audio  # noqa: PLC0415

    command = [sys.executable, str(ROOT / "benchmarks/random_whisper.py"), str(tmp_path)]
    subprocess.run([*command, "--size", "tiny", "--tokens", "9"], check=True)
    model = faster_whisper.WhisperModel(str(tmp_path), device="cpu", compute_type="int8", cpu_threads=2)
    audio = decode_audio(str(TOY / "recordings/live/chunk-000.webm"))
    clips = [{"start": 0, "end": 9}, {"start": 9, "end": 12}]
    for heard in (audio[:200_000], np.zeros(200_000, np.float32)):
        segments, _ = faster_whisper.BatchedInferencePipeline(model).transcribe(
            heard, language="en", clip_timestamps=clips, beam_size=2
        )
        found = list(segments)
        assert [len(segment.tokens) for segment in found] == [9, 9]
        assert all(segment.avg_logprob > -1 and segment.compression_ratio < 2.4 for segment in found)
        assert all(segment.no_speech_prob < 0.1 for segment in found)
