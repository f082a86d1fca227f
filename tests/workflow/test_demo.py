"""The demo: its files fit each other, and real models make of it what was said, by whom."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from project import DEMO, copy_project
from sessionscribe.formats.references import read_file
from sessionscribe.manifest import manifest

SESSIONS = ("meeting", "tracks", "live")


def test_the_demo_is_small_and_its_files_are_those_of_its_table() -> None:
    assert sum(path.stat().st_size for path in DEMO.rglob("*")) < 2_000_000
    rows = [row for session in manifest.read(DEMO / "sessions.tsv").values() for row in session.rows]
    assert {row.session for row in rows} == set(SESSIONS)
    for row in rows:
        assert hashlib.sha256((DEMO.parents[1] / row.source).read_bytes()).hexdigest() == row.checksum
    assert {path.stem for path in (DEMO / "truth").iterdir()} == set(SESSIONS)


def people(transcript: Path) -> set[str]:
    (said,) = read_file(transcript)
    return {str(utterance.speaker).lower() for utterance in said.utterances}


@pytest.mark.real
def test_the_demo_is_understood_at_the_right_times_and_its_speakers_have_names(
    whisper_base: Path, tmp_path: Path
) -> None:
    project = copy_project(tmp_path / "project")
    shutil.copytree(DEMO, project / "resources/demo")
    done = project.sessionscribe("run", "--profile", "demo", "--configfile", "config/demo.yaml")
    assert done.code == 0, done.text
    for session in SESSIONS:
        bars = ("--max-wer", "0.1", "--max-der", "0.2")
        options = ("--reference", str(DEMO / "truth"), "--resamples", "0", "--json", "scores.json", *bars)
        scored = project.program("sessionscribe.cli.main", "evaluate", session, *options)
        assert scored.code == 0, scored.text
        figures = json.loads((project / "scores.json").read_text())["pooled"]
        assert figures["start_median_s"]["value"] <= 0.1
        assert people(project / f"results/export/{session}/{session}.json") == people(
            DEMO / f"truth/{session}.json"
        )
