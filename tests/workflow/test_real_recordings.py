"""Real recordings go through without error; the toy models' words for them mean nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from project import Project, copy_project

SOURCES = ("misc/jfk.flac", "misc/8_Channel_ID.m4a", "ami")


def test_real_recordings_go_through(shared: Path, tmp_path: Path) -> None:
    project: Project = copy_project(tmp_path / "project")
    added = project.sessionscribe("add", *(str(shared / "data" / source) for source in SOURCES))
    assert added.code == 0, added.text
    done = project.sessionscribe("run", "--profile", "demo")
    assert done.code == 0, done.text
    status = project.status()
    assert {"jfk", "8_Channel_ID", "trñ00", "empty", "dev00", "trn05", "trn06"} <= status.keys()
    assert set(status.values()) == {"complete"}, status
    for session in status:
        made = json.loads((project / f"results/export/{session}/{session}.json").read_text())
        words = [word for segment in made["segments"] for word in segment["words"]]
        assert all(0 <= w["start"] <= w["end"] <= made["duration_s"] for w in words)
        assert all((w["speaker"] is None) == (w["reason"] is not None) for w in words)


@pytest.mark.real
def test_the_defaults_transcribe_where_there_is_no_hub(
    whisper_base: Path, shared: Path, tmp_path: Path
) -> None:
    project = copy_project(tmp_path / "project")
    project.settings.write_text("diarize: {model: tests/data/models/toy-diarization, device: cpu}\n")
    here = {"HF_HOME": str(tmp_path / "hub"), "CUDA_VISIBLE_DEVICES": ""}
    done = project.sessionscribe("run", "--source", str(shared / "data/misc/jfk.flac"), **here)
    assert done.code == 0, done.text
    assert "the speech model is `base`. `small` makes fewer errors" in done.err
    text = (project / "results/export/jfk/jfk.txt").read_text()
    assert "ask not what your country can do for you, ask what you can do for your country" in text
    (chunk,) = project.root.glob("results/transcribe/jfk/*/mix.0000.json")
    assert "Systran/faster-whisper-base (package:" in chunk.read_text()
