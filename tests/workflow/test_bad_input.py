"""Recordings that are no good, all in one run with good ones: each is told in one line, the others finish."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

import media
import small_disks
from project import ROOT, TOY, Done, Once, Project, copy_project, cut_audio, states
from sessionscribe.artifacts.plan import Timeline
from sessionscribe.audio.stream_parts import CLUSTER

HOSTILE = ["a b.wav", "it's.wav", 'say "hi".wav', "$(touch pwned).wav", "`touch hacked`.wav", "li\nne.wav",
           "-rf.wav", "Größe 日本.wav"]  # fmt: skip

FAILS = {
    "picture": "has no audio stream",
    "nothing": "is empty (0 bytes)",
    "noindex": "is an MP4 or MOV whose index (moov) is missing",
    "words": "is not an audio or video file",
    "gone": "does not exist",
    "changed": "has changed since it was added",
    "same": "two recordings have the session name `same`",
    "headless": "none of its parts can be decoded",
}
COMPLETE = ["good", "short", "silence", "music", "broken-samples", "holes", "odd", "longer"]


def chords(seconds: float, rate: int = 16_000) -> media.Audio:
    """Music of a kind: a chord every half second, with overtones."""
    time = np.arange(round(seconds * rate)) / rate
    notes = 220 * 2 ** (np.array([[0, 4, 7], [5, 9, 12], [7, 11, 14], [0, 4, 7]]) / 12)
    chord = notes[(time * 2).astype(int) % 4]
    sound = sum(np.sin(2 * np.pi * chord.T * k * time) / k for k in (1, 2, 3)).sum(axis=0)
    return np.asarray([0.1 * sound * np.exp(-2 * (time % 0.5))], np.float32)


def add(project: Project, *arguments: str) -> Done:
    return project.sessionscribe("add", *arguments)


def unprivileged() -> bool:
    return os.geteuid() != 0


def _speech(track: str, start_s: float, stop_s: float) -> media.Audio:
    """Return a stretch of one of the toy's tracks [1, n] at 16 kHz."""
    samples, rate = soundfile.read(TOY / f"recordings/tracks/{track}.ogg", dtype="float32")
    return np.asarray(samples[None, round(start_s * rate) : round(stop_s * rate)])


def _write_slices(folder: Path) -> None:
    """Write what a browser's recorder writes: only the first part has a header; two parts came out bad."""
    options = {"cluster_time_limit": "4000"}
    sound = media.Sound(_speech("alice", 8, 24))
    path = media.write_media(folder.with_suffix(".webm"), [sound], pipe=True, options=options)
    data = path.read_bytes()
    path.unlink()
    edges = [0, *[match.start() for match in re.finditer(re.escape(CLUSTER), data)][1:], len(data)]
    folder.mkdir()
    for number, (start, stop) in enumerate(pairwise(edges)):
        (folder / f"chunk-{number:03}.webm").write_bytes(data[start:stop])
    (folder / "chunk-001.webm").write_bytes(b"")
    (folder / "chunk-002.webm").write_bytes(b"no sound" * 100)


def _write_call(path: Path) -> None:
    """Write a call with Anna on the left and Ben on the right."""
    sides = [_speech("alice", 8, 13), _speech("bob", 8, 13)]
    media.write_media(path, [media.Sound(np.concatenate(sides))])


class Bad(NamedTuple):
    """A project of bad and good sessions, what `add`, the run and `status` said."""

    project: Project
    added: Done
    run: Done
    status: Done


@pytest.fixture(scope="module")
def bad(once: Once) -> Bad:
    folder = once("bad", fill)
    said = json.loads((folder / "said.json").read_text())
    return Bad(Project(folder), *(Done(**one) for one in said))


def fill(folder: Path) -> None:
    project = copy_project(folder)
    given = project / "in"
    given.mkdir()
    alice = TOY / "recordings/tracks/alice.ogg"
    speech = cut_audio(alice, given / ".good.wav", 8, 13)
    cut_audio(alice, given / "short.wav", 9, 9.3)
    media.write_media(given / "picture.mp4", [], picture_s=1)
    (given / "nothing.mp3").write_bytes(b"")
    media.cut_short(media.write_tone(given / "noindex.mp4", 2), 0.6)
    (given / "words.mp3").write_text("These are words and no sound.\n" * 50)
    media.write_media(given / "silence.flac", [media.Sound(np.zeros((1, 180 * 16_000), np.float32))])
    media.write_media(given / "music.flac", [media.Sound(chords(12))])
    samples = media.tone(3, level=4.0)
    samples[0, 8_000:8_400] = np.nan
    samples[0, 9_000:9_100] = np.inf
    media.write_media(given / "broken-samples.wav", [media.Sound(samples, codec="pcm_f32le")])
    for name in ("changed.wav", "same.wav"):
        shutil.copy2(speech, given / name)
    (project / "holes").mkdir()
    _write_slices(project / "slices")
    _write_call(project / "call.wav")
    for part in (0, 2):  # without speech, as some others here: diarization is dear, and not what is tested
        media.write_media(project / f"holes/chunk-{part}.webm", [media.Sound(media.tone(2))])
    (project / "odd").mkdir()
    for name in HOSTILE:
        cut_audio(alice, project / "odd" / name, 8, 8.5)
    speech.rename(project / "good.wav")
    said = add(project, *(f"in/{path.name}" for path in sorted(given.iterdir())), "holes")
    assert add(project, "slices").code == 1
    (project / "headless").mkdir()
    for part in (3, 4):
        content = (project / f"slices/chunk-{part:03}.webm").read_bytes()
        (project / f"headless/chunk-{part:03}.webm").write_bytes(content[:-9])
    assert add(project, "headless").code == 1
    assert add(project, "call.wav", "--names", "Anna,Ben").code == 0
    shutil.copy2(project / "good.wav", project / "gone.wav")
    shutil.copy2(project / "good.wav", project / "locked.wav")
    tracks = ("--layout", "multitrack", "--session")
    for name in ("good", "gone", *(["locked"] if unprivileged() else [])):
        assert add(project, f"{name}.wav", *tracks, name).code == 0
    assert add(project, "odd", "--layout", "multitrack").code == 0
    cut_audio(alice, project / "longer.wav", 8, 28)
    assert add(project, "longer.wav", "--speakers", "off").code == 0
    (project / "gone.wav").unlink()
    (project / "locked.wav").chmod(0)
    shutil.copy2(given / "short.wav", given / "changed.wav")
    manifest = project / "config/sessions.tsv"
    rows = re.sub(r"(?m)^(longer\t.*?\t)(19|20)[.\d]*\t", r"\g<1>6\t", manifest.read_text(encoding="utf-8"))
    (same,) = (row for row in rows.splitlines() if row.startswith("same\t"))
    manifest.write_text(f"{rows}{same.replace('in/same.wav', 'in/short.wav')}\n", encoding="utf-8")
    done = [said, project.sessionscribe("run"), project.sessionscribe("status")]
    (folder / "said.json").write_text(json.dumps([asdict(one) for one in done]))


def test_add_says_what_is_wrong_in_a_line_each_and_adds_the_rest(bad: Bad) -> None:
    said = bad.added
    assert said.code == 1
    lines = said.err.splitlines()
    assert all(line.startswith("sessionscribe: ") for line in lines)
    for name in ("picture", "nothing", "noindex", "words"):
        (line,) = (line for line in lines if f"in/{name}." in line)
        assert FAILS[name] in line
    assert len(lines) == 4
    assert "added short: recording, 1 file" in said.out


def test_the_exit_code_is_not_0(bad: Bad) -> None:
    assert bad.run.code != 0


@pytest.mark.parametrize("name", FAILS)
def test_a_bad_recording_is_told_in_one_line_and_its_session_is_failed(bad: Bad, name: str) -> None:
    project, done = bad.project, bad.run
    told = [line for line in done.err.splitlines() if line.startswith("sessionscribe: ")]
    lines = [line for line in told if FAILS[name] in line]
    assert len(lines) == 1, done.text
    assert lines[0].startswith("sessionscribe: fetch_recording failed: ")
    assert "(log: logs/ingest/" in lines[0]
    assert states(bad.status.out)[name] == "failed"
    assert not (project / f"results/export/{name}").exists()


def test_an_unreadable_file_is_told_in_one_line(bad: Bad) -> None:
    if not unprivileged():
        pytest.skip("root may read everything")
    assert "locked.wav: cannot be read (permission denied)" in bad.run.err
    assert states(bad.status.out)["locked"] == "failed"


def test_no_traceback_is_shown(bad: Bad) -> None:
    assert "Traceback" not in bad.run.text
    assert "Error in rule" not in bad.run.text


@pytest.mark.parametrize("name", COMPLETE)
def test_what_is_odd_and_not_wrong_is_finished(bad: Bad, name: str) -> None:
    project, done = bad.project, bad.run
    assert states(bad.status.out)[name] == "complete", done.text
    assert (project / f"results/export/{name}/{name}.srt").is_file()


def test_names_are_never_executed(bad: Bad) -> None:
    assert not [*bad.project.root.rglob("pwned"), *bad.project.root.rglob("hacked")]
    text = (bad.project / "config/sessions.tsv").read_text(encoding="utf-8")
    assert all(f"odd/{name}".replace('"', '""') in text for name in HOSTILE)


def test_silence_has_no_words_and_says_so(bad: Bad) -> None:
    project = bad.project
    assert (project / "results/export/silence/silence.srt").read_bytes() in (b"", b"\n")
    assert '"words":[{' not in (project / "results/diarize/silence.json").read_text()


def test_broken_samples_are_counted(bad: Bad) -> None:
    text = (bad.project / "results/convert/broken-samples/mix.json").read_text()
    assert '"nonfinite_samples":500' in text
    assert '"clipped_samples":0' not in text


def test_a_missing_part_is_a_gap_that_is_counted_and_flagged(bad: Bad) -> None:
    lines = bad.status.out.splitlines()
    (row,) = (line.split() for line in lines if line.startswith("holes "))
    assert row[5] == "1"
    assert any(line.startswith("holes: 1 gap in the recording") for line in lines)


def test_slices_of_a_stream_are_transcribed_and_bad_parts_are_gaps(bad: Bad) -> None:
    project, done = bad.project, bad.run
    assert project.status()["slices"] == "complete", done.text
    timeline = Timeline.read(project / "results/chunk/slices.timeline.json")
    assert [gap.reason for gap in timeline.gaps] == [
        "part 1 is empty (0 bytes)",
        "part 2 is not an audio or video file, or is damaged at its beginning",
    ]
    third = next(track for track in timeline.tracks if track.track == "chunk-003")
    assert third.offset / 16_000 == pytest.approx(11.2, abs=0.3), "the stream's own clock"
    audit = json.loads((project / "results/audit/slices.json").read_text())
    assert any("part 1 is empty" in problem for problem in audit["problems"])


def test_each_side_of_a_call_is_a_speaker(bad: Bad) -> None:
    project, done = bad.project, bad.run
    assert project.status()["call"] == "complete", done.text
    words = json.loads((project / "results/diarize/call.json").read_text())["segments"]
    assert {segment["speaker"] for segment in words} == {"Anna", "Ben"}


def test_a_recording_that_is_longer_than_noted_gets_its_chunks_in_one_run(bad: Bad) -> None:
    project = bad.project
    assert len(json.loads((project / "results/chunk/longer/mix.plan.json").read_text())["cores"]) == 2
    audit = (project / "results/audit/longer.json").read_text()
    assert "s longer than in the manifest (6.0 s)" in audit
    assert project.plan("--config", "sessions=[longer]") == {}


def test_a_session_that_is_put_right_is_finished_by_the_next_run(bad: Bad, tmp_path: Path) -> None:
    project = bad.project.copy(tmp_path)
    shutil.copy2(project / "good.wav", project / "gone.wav")
    done = project.sessionscribe("run", "--session", "gone")
    assert done.code == 0, done.text
    assert project.status()["gone"] == "complete"


# Models that cannot be had, and secrets.

SECRET = "hf_" + "secret" * 5


def test_a_model_that_cannot_be_had_is_told_before_anything_else(fresh: Project, tmp_path: Path) -> None:
    project = fresh.copy(tmp_path)
    settings = project.settings.read_text().replace("tests/data/models/toy-whisper", "small")
    project.settings.write_text(settings)
    done = project.sessionscribe("run", HF_TOKEN=SECRET, HF_HOME=str(tmp_path / "hub"))
    assert done.code != 0
    (line,) = (line for line in done.err.splitlines() if line.startswith("sessionscribe: "))
    assert "check_models failed: Systran/faster-whisper-small: the speech model is not available" in line
    for way in ("models fetch base", "log in", "HF_TOKEN", "`transcribe.model` to a local folder"):
        assert way in line
    assert {path.parts[len(project.root.parts) + 1] for path in project.root.glob("results/**/*.*")} <= {
        "settings"
    }
    everything = b"".join(path.read_bytes() for path in project.root.rglob("*") if path.is_file())
    assert SECRET.encode() not in everything
    assert SECRET not in done.text


# A full disk.


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that the project nearly fills."""
    with small_disks.mounted(tmp_path / "tiny", "size=20m") as folder:
        yield folder


def test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_room(tiny_disk: Path) -> None:
    project = copy_project(tiny_disk / "project")
    (project / "in").mkdir()
    cut_audio(TOY / "recordings/tracks/alice.ogg", project / "in/talk.wav", 8, 40)
    assert project.sessionscribe("add", "in/talk.wav", "--layout", "multitrack").code == 0
    ballast = project / "ballast"
    free = os.statvfs(tiny_disk).f_bavail * os.statvfs(tiny_disk).f_frsize
    ballast.write_bytes(b"\0" * (free - 500_000))
    done = project.sessionscribe("run")
    assert done.code != 0
    (line,) = (line for line in done.err.splitlines() if line.startswith("sessionscribe: "))
    assert re.search("the disk is full|no space left", line)
    assert re.search("(Make room|Free some space) .*run again", line)
    assert project.status() == {"talk": "failed"}
    ballast.unlink()
    done = project.sessionscribe("run")
    assert done.code == 0, done.text
    assert project.status() == {"talk": "complete"}


@pytest.mark.slow
def test_forty_minutes_of_silence(tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    media.write_media(project / "quiet.flac", [media.Sound(np.zeros((1, 2400 * 16_000), np.float32))])
    assert project.sessionscribe("add", "quiet.flac").code == 0
    done = project.sessionscribe("run")
    assert done.code == 0, done.text
    assert project.status() == {"quiet": "complete"}


def test_the_checkout_was_not_touched() -> None:
    assert not (ROOT / "in").exists()
