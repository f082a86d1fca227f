"""Real Whisper on real speech through the workflow: the short form of benchmarks/accuracy.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import accuracy
import pytest
import recordings as found_recordings
import systems
from recordings import READ, Recording
from systems import OURS, SEQUENTIAL, Run

from project import DEMO
from sessionscribe.artifacts.chunk_transcript import ChunkTranscript
from sessionscribe.core.text import join_words
from sessionscribe.formats.references import read_file

pytestmark = [pytest.mark.real, pytest.mark.benchmark]
JFK = (
    "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Recording]:
    """The demo's meeting, and short recordings of real speech where this machine has them."""
    (meeting,) = read_file(DEMO / "truth/meeting.json")
    found = [Recording("meeting", DEMO / "recordings/meeting.mp4", meeting.duration_s or 0, meeting)]
    if found_recordings.SHARED.is_dir():
        folder = tmp_path_factory.mktemp("speech")
        (folder / "jfk.flac").symlink_to(found_recordings.SHARED / "misc/jfk.flac")
        (folder / "jfk.json").write_text(
            json.dumps([{"text": JFK, "start": 0, "stop": 11}]), encoding="utf-8"
        )
        found += found_recordings.recordings([folder, found_recordings.SHARED / "librivox"])
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("real") / "project"


@pytest.fixture(scope="module")
def run(recordings: list[Recording], project: Path, whisper_base: Path) -> Run:
    """What `sessionscribe run` made of them, up to their words."""
    options = systems.settings({"speech": str(whisper_base), "diarization": "off"})
    return systems.ours(recordings, options, project, speakers=False)


def test_the_words_are_right_and_at_the_right_times(recordings: list[Recording], run: Run) -> None:
    found = accuracy.figures(recordings, run.heard)
    assert found["wer"] <= 6
    assert found["longest"] <= 5
    assert found["start"] <= 0.1
    for one in recordings:
        words = run.heard[one.name].words
        starts = [word.start for word in words]
        assert starts == sorted(starts)
        assert all(0 <= word.start <= word.end <= one.duration_s for word in words)


def test_joined_words_are_the_text_that_the_engine_wrote(project: Path, run: Run) -> None:
    chunks = [ChunkTranscript.read(path) for path in project.glob("results/transcribe/*/*/*[0-9].json")]
    assert len(chunks) == len(run.heard)
    for segment in (segment for chunk in chunks for segment in chunk.segments):
        assert join_words(segment.words) == segment.text


def test_a_peer_hears_a_recording_once(
    recordings: list[Recording], run: Run, whisper_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systems, "WORK", tmp_path)
    folders = {"speech": str(whisper_base)}
    first, second = (systems.peer(SEQUENTIAL, recordings, folders, Path(sys.executable)) for _ in range(2))
    assert first == second
    assert first.speech_cpu_s
    kinds, results = {READ: recordings}, {READ: {OURS: run, SEQUENTIAL: first}}
    asked = [asked for asked, _, _ in accuracy.bars_of_words(kinds, results)]
    assert "words lost per hour ≤ faster-whisper's" in asked
    assert len(list(accuracy.systems_table(kinds, results))) == 4
    assert len(list(accuracy.recordings_table(kinds, results))) == len(recordings) + 2
