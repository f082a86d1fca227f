"""Another engine is a package of its own: nothing else changes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from project import ROOT, Project
from sessionscribe.engines import pyannote, whisper

if TYPE_CHECKING:
    from sessionscribe.engines.registry import DiarizationEngine, SpeechEngine

    speech: SpeechEngine = whisper
    diarization: DiarizationEngine = pyannote

PACKAGE = ROOT / "tests/data/second_engine"


def test_the_workflow_runs_with_the_engine_of_another_package(fresh: Project, tmp_path: Path) -> None:
    project = fresh.copy(tmp_path / "project")
    model = project / "model"
    model.mkdir()
    (model / "second-engine.txt").touch()
    settings = yaml.safe_load(project.settings.read_text())
    settings["transcribe"]["model"] = settings["diarize"]["model"] = str(model)
    project.settings.write_text(yaml.safe_dump(settings))
    path = f"{project / 'scripts'}{os.pathsep}{PACKAGE}"
    done = project.sessionscribe("run", "--session", "talk", PYTHONPATH=path)
    assert done.code == 0, done.text
    transcript = json.loads((project / "results/diarize/talk.json").read_text())
    assert {engine["name"] for engine in transcript["engines"]} == {"second"}
    assert set(transcript["speakers"]) <= {"LOUD", "QUIET"}
    words = {word["text"] for segment in transcript["segments"] for word in segment["words"]}
    assert words
    assert words <= {"loud", "quiet"}
