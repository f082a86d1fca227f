"""The workflow from recordings to exports, and what a second run finds to do."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

from project import ROOT, Project, jobs

SESSIONS = {"talk": 3, "duo": 2, "live": 2}
FORMATS = ("json", "srt", "vtt", "txt", "tsv", "rttm")
AFTER_CHUNK = {
    "merge_transcript": 1,
    "assign_speakers": 1,
    "audit_session": 1,
    "write_export": 1,
}
# A session whose diarization costs nothing is enough to follow a change through.
DUO = ("--config", "sessions=['duo']")


def test_a_finished_run_has_every_export_and_says_so(finished: Project) -> None:
    for name, chunks in SESSIONS.items():
        for ending in FORMATS:
            assert (finished / f"results/export/{name}/{name}.{ending}").stat().st_size > 0
        found = json.loads((finished / f"results/export/{name}/{name}.json").read_bytes())
        words = [word for segment in found["segments"] for word in segment["words"]]
        assert words
        assert all(word["start"] <= word["end"] <= found["duration_s"] + 0.01 for word in words)
        assert all(word["speaker"] or word["reason"] for word in words)
        chunk_files = list((finished / f"results/transcribe/{name}").glob("*/*.[0-9]*.json"))
        assert len(chunk_files) == chunks
    assert set(finished.status().values()) == {"complete"}
    text = (finished / "run.txt").read_text()
    assert "100%" in text
    assert "results/export/talk/" in text
    assert "Traceback" not in text


def test_the_status_table_has_a_line_per_session(finished: Project) -> None:
    lines = finished.sessionscribe("status").out.splitlines()
    assert lines[0].split() == [
        "session",
        "layout",
        "length",
        "stage",
        "chunks",
        "gaps",
        "flags",
        "audit",
        "status",
    ]
    rows = {line.split()[0]: line.split() for line in lines[1:4]}
    assert rows["talk"][:5] == ["talk", "recording", "0:00:25", "export", "3/3"]
    assert [rows["live"][1], *rows["live"][3:5]] == ["live", "export", "2/2"]


@pytest.mark.parametrize("profile", ["local", None])
def test_a_second_run_has_nothing_to_do(finished: Project, profile: str | None) -> None:
    assert finished.plan(profile=profile) == Counter()


def test_a_second_real_run_changes_no_file(project: Project) -> None:
    def state() -> dict[str, tuple[int, int]]:
        files = (path for path in (project / "results").rglob("*") if path.is_file())
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}

    before = state()
    done = project.sessionscribe("run")
    assert done.code == 0, done.text
    assert state() == before


# A copy made elsewhere.


def shuffle_times(folder: Path, seed: int) -> None:
    dice, now = random.Random(seed), time.time()
    for path in sorted(folder.rglob("*")):
        at = now + dice.uniform(-3e7, 3e6)
        os.utime(path, (at, at))


@pytest.fixture
def elsewhere(finished: Project, tmp_path: Path) -> Project:
    """A copy of the results in a fresh copy of the project: other times, no records of Snakemake's."""
    without = shutil.ignore_patterns(".snakemake", "logs")
    there = Project(shutil.copytree(finished.root, tmp_path / "elsewhere", ignore=without))
    shuffle_times(there.root, 1)
    return there


def test_results_that_came_from_elsewhere_count(elsewhere: Project) -> None:
    assert elsewhere.plan() == elsewhere.plan(profile=None) == Counter()


def test_one_chunk_removed_elsewhere_is_all_that_is_redone(elsewhere: Project, finished: Project) -> None:
    (chunk,) = (elsewhere / "results/transcribe/duo").glob("*/alice.0000.json")
    chunk.unlink()
    done = elsewhere.snakemake(profile=None)
    assert done.code == 0, done.text
    assert jobs(done.text) == Counter(check_models=1, transcribe_chunk=1, **AFTER_CHUNK)
    assert elsewhere.results() == finished.results()


# Changed settings, end to end.


def change(project: Project, section: str, **values: object) -> None:
    settings = yaml.safe_load(project.settings.read_text())
    settings.setdefault(section, {}).update(values)
    project.settings.write_text(yaml.safe_dump(settings))


def test_names_touch_exports_only_and_going_back_gives_the_same_bytes(
    project: Project, finished: Project
) -> None:
    before = project.settings.read_text()
    change(project, "export", names={"alice": "Dr Ada"})
    assert project.snakemake(*DUO).code == 0
    assert jobs(project.log()) == Counter(correct_transcript=1, write_export=1)
    assert "Dr Ada" in (project / "results/export/duo/duo.txt").read_text()
    project.settings.write_text(before)
    assert project.snakemake(*DUO).code == 0
    assert project.results() == finished.results()


def test_other_hotwords_redo_the_words_and_keep_the_old_ones(project: Project) -> None:
    old = set(project.results("results/transcribe"))
    change(project, "transcribe", hotwords="Zermatt")
    done = project.snakemake(*DUO)
    assert done.code == 0, done.text
    assert jobs(project.log()) == Counter(
        check_models=1, detect_language=1, transcribe_chunk=2, **AFTER_CHUNK
    )
    assert project.plan(*DUO) == Counter()
    assert old < set(project.results("results/transcribe"))


def test_a_stale_session_is_redone_beside_one_that_needs_a_model(project: Project) -> None:
    change(project, "export", max_lines=1)
    next((project / "results/transcribe/live").glob("*/chunk-001.*.json")).unlink()
    wanted = Counter(check_models=1, transcribe_chunk=1, **AFTER_CHUNK | {"write_export": 3})
    assert project.plan() == wanted


def test_a_changed_first_stage_runs_through_to_the_end_in_one_run(project: Project) -> None:
    change(project, "convert", channel=0)
    done = project.snakemake(*DUO)
    assert done.code == 0, done.text
    assert jobs(project.log()) == Counter(
        check_models=1,
        convert_audio=2,
        plan_chunks=2,
        build_timeline=1,
        detect_language=1,
        transcribe_chunk=2,
        cluster_speakers=1,
        **AFTER_CHUNK,
    )
    assert project.plan(*DUO) == Counter()


def test_another_number_of_speakers_is_clustered_and_no_model_listens(project: Project) -> None:
    change(project, "diarize", num_speakers=1)
    assert project.plan("--config", "sessions=['talk']") == Counter(
        check_models=1, cluster_speakers=1, assign_speakers=1, audit_session=1, write_export=1
    )


# What can be asked for.


def test_an_explicit_file_is_made_with_what_it_needs(project: Project) -> None:
    for path in (project / "results/export/duo").iterdir():
        path.unlink()
    (project / "results/merge/duo.json").unlink()
    target = "results/export/duo/duo.srt"
    done = project.sessionscribe("run", "--session", "duo", target)
    assert done.code == 0, done.text
    assert jobs(project.log()) == Counter(merge_transcript=1, assign_speakers=1, write_export=1)
    assert (project / target).is_file()


def test_a_file_that_no_session_has_is_refused_by_name(finished: Project) -> None:
    done = finished.snakemake("results/export/nobody/nobody.srt", "--dry-run")
    assert done.code != 0
    assert "nobody: there is nothing to do for write_export" in done.text


def test_a_stage_is_where_a_run_stops(new_project: Project) -> None:
    done = new_project.sessionscribe("run", "--session", "duo", "--stage", "convert")
    assert done.code == 0, done.text
    assert {path.name for path in (new_project / "results").iterdir()} == {
        "convert",
        "ingest",
        "provenance",
        "settings",
    }
    assert new_project.status() == {"talk": "pending", "duo": "converting", "live": "pending"}
    done = new_project.sessionscribe("status", "--session", "duo")
    assert done.out.splitlines()[1].split()[3] == "convert"
    done = new_project.sessionscribe("run", "--session", "duo", "--stage", "transcribe")
    assert done.code == 0, done.text
    left = new_project.plan(*DUO).keys()
    assert not left & {"transcribe_chunk", "build_timeline"}
    assert "merge_transcript" in left


def test_session_limit_and_unknown_options_reach_snakemake(new_project: Project) -> None:
    first = new_project.sessionscribe("run", "--limit", "1", "--dry-run", "--quiet", "host")
    assert jobs(first.text)["fetch_recording"] == 1
    both = new_project.sessionscribe(
        "run", "--session", "duo", "-n", "--quiet", "host", "--config", "export={'formats': ['txt']}"
    )
    assert jobs(both.text)["write_export"] == 1
    assert jobs(both.text)["fetch_recording"] == 2
    wrong = new_project.sessionscribe("run", "--session", "dou")
    assert wrong.code == 2
    assert "Did you mean `duo`?" in wrong.err
    assert not (new_project / "results").exists()


def test_nothing_is_left_for_limit_when_all_is_done(finished: Project) -> None:
    done = finished.sessionscribe("run", "--limit", "1")
    assert (done.code, done.out) == (0, "Nothing to do.\n")


def test_run_with_a_source_adds_it_and_runs_it_alone(new_project: Project) -> None:
    shutil.copy2(new_project / "recordings/duo/bob.flac", new_project / "recordings/solo.flac")
    done = new_project.sessionscribe("run", "--source", "recordings/solo.flac", "--stage", "ingest")
    assert done.code == 0, done.text
    assert new_project.status() == {
        "talk": "pending",
        "duo": "pending",
        "live": "pending",
        "solo": "converting",
    }


# Configurations.


def test_the_demo_settings_and_the_default_ones_can_be_run_dry(fresh: Project, tmp_path: Path) -> None:
    project = fresh.copy(tmp_path)
    shutil.copytree(ROOT / "tests/data/toy", project / "tests/data/toy", dirs_exist_ok=True)
    command = ["-n", "--quiet", "host", "--configfile", "tests/data/toy/config.yaml"]
    done = project.snakemake(*command, profile=None)
    assert jobs(done.text)["fetch_recording"] == 11, done.text
    command = ["-n", "--quiet", "host", "--configfile", "config/config.yaml"]
    done = project.snakemake(*command, profile=None)
    assert jobs(done.text)["fetch_recording"] == 5, done.text


# The table and the settings as a whole.


def nothing_changed(project: Project, before: dict[str, bytes]) -> None:
    assert project.results() == before


def test_a_wrong_column_is_one_line_and_touches_nothing(project: Project) -> None:
    before = project.results()
    path = project / "config/sessions.tsv"
    text = path.read_text().replace("language", "langauge", 1)
    path.write_text(text)
    for done in (project.sessionscribe("run"), project.sessionscribe("status"), project.snakemake()):
        assert done.code != 0
        assert "there is no column `langauge`. Did you mean `language`?" in done.text
        assert "Traceback" not in done.text
    done = project.sessionscribe("add", "recordings/talk.flac")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert path.read_text() == text
    nothing_changed(project, before)


def test_an_unknown_setting_is_one_line_and_touches_nothing(project: Project) -> None:
    before = project.results()
    change(project, "chunk", targets=9)
    for done in (project.sessionscribe("run"), project.snakemake()):
        assert done.code != 0
        line = "configuration: chunk.targets: there is no such setting. Did you mean `target_s`?"
        assert line in done.text
        assert "Traceback" not in done.text
    nothing_changed(project, before)
