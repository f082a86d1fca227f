"""The status words and the table, on the made-up project of the plan's tests."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from test_plan import Project, delete

from sessionscribe.artifacts.provenance import Failure
from sessionscribe.cli import storage as storing
from sessionscribe.config import loading
from sessionscribe.manifest.manifest import Row
from sessionscribe.planning import status
from sessionscribe.planning.status import SessionStatus


@pytest.fixture
def project(tmp_path: Path, fast_disk: None) -> Project:
    found = Project(tmp_path)
    found.finish()
    return found


def of(project: Project, session: str = "talk") -> SessionStatus:
    return next(row for row in status.collect(project.plan()) if row.session == session)


def fail(project: Project, rule: str) -> None:
    failure = Failure(
        session="talk",
        rule=rule,
        output=str(project.files(rule)[0].relative_to(project.root)),
        message="in/a.mp3: is odd. Do this",
        log="logs/a.log",
    )
    failure.write(project.root / f"logs/failed/talk/{rule}.talk.json")


def test_a_finished_session_is_complete(project: Project) -> None:
    row = of(project)
    assert (row.status, row.stage, row.chunks_done, row.chunks) == ("complete", "export", 2, 2)
    assert row.hours == pytest.approx(21 / 3600)


def test_a_new_one_is_pending(tmp_path: Path, fast_disk: None) -> None:
    row = of(Project(tmp_path))
    assert (row.status, row.stage, row.chunks_done, row.chunks) == ("pending", "-", 0, 2)


@pytest.mark.parametrize(
    ("rule", "word", "reached"),
    [
        ("fetch_recording", "downloading", "-"),
        ("convert_audio", "converting", "ingest"),
        ("plan_chunks", "converting", "convert"),
        ("transcribe_chunk", "transcribing", "chunk"),
        ("merge_transcript", "transcribing", "transcribe"),
        ("embed_chunk", "diarizing", "merge"),
        ("cluster_speakers", "diarizing", "merge"),
        ("assign_speakers", "diarizing", "merge"),
        ("name_speakers", "naming", "diarize"),
        ("audit_session", "exporting", "name"),
        ("correct_transcript", "exporting", "audit"),
        ("write_export", "exporting", "correct"),
    ],
)
def test_the_word_is_that_of_the_first_stage_with_work(
    project: Project, rule: str, word: str, reached: str
) -> None:
    delete(project.files(rule)[0])
    row = of(project)
    assert (row.status, row.stage) == (word, reached)
    assert of(project, "duo").status == "complete"


def test_chunks_are_counted(project: Project) -> None:
    delete(project.files("transcribe_chunk")[1])
    assert (of(project).chunks_done, of(project).chunks) == (1, 2)


def test_a_failure_counts_while_its_step_is_to_do_and_is_said_with_its_log(project: Project) -> None:
    fail(project, "merge_transcript")
    assert of(project).status == "complete"
    delete(project.files("merge_transcript")[0])
    row = of(project)
    assert row.status == "failed"
    assert row.failures == ("in/a.mp3: is odd. Do this (log: logs/a.log)",)
    assert "talk: in/a.mp3: is odd. Do this (log: logs/a.log)" in status.table([row])
    (note,) = project.root.glob("logs/failed/talk/*.json")
    for damaged in ("[]", '{"output": []}', "{", "{}", "5"):
        note.write_text(damaged)
        assert of(project).status == "transcribing"


def test_a_recording_that_was_restored_is_no_failure(project: Project) -> None:
    delete(project.files("fetch_recording")[0])
    fail(project, "fetch_recording")
    (note,) = project.root.glob("logs/failed/talk/*.json")
    note.write_text(note.read_text().replace("is odd. Do this", "does not exist. Restore the file"))
    assert of(project).status == "failed"
    (project.root / "in").mkdir(exist_ok=True)
    (project.root / "in/a.mp3").touch()
    assert of(project).failures == ()


def test_what_several_sessions_have_in_common_is_said_once(project: Project) -> None:
    common = "the models are missing. Get them"
    talk = replace(of(project), failures=(common, "in/a.mp3: is odd"), flags=())
    duo = replace(of(project, "duo"), failures=(common,), flags=())
    assert status.table([talk, duo]).splitlines()[4:] == [f"talk, duo: {common}", "talk: in/a.mp3: is odd"]


def test_sessions_without_speakers_are_named(project: Project) -> None:
    project.rows = [replace(row, diarize="off") for row in project.rows]
    assert "talk, eve: without speakers" in status.table(status.collect(project.plan()))


def test_a_problem_of_the_manifest_is_a_failure_before_any_run(project: Project) -> None:
    project.rows.append(Row("talk", "recording", "mix", "in/other.flac", "8" * 64, 21.0))
    assert of(project).status == "failed"
    assert "two recordings" in of(project).failures[0]


@pytest.mark.parametrize(
    ("parts", "gaps"), [((0, 1), 0), ((0, 3), 2), ((1, 2), 0), ((2, 3), 0), ((50, 52), 1)]
)
def test_gaps_are_counted_as_the_timeline_does(project: Project, parts: tuple[int, int], gaps: int) -> None:
    numbers = iter(parts)
    project.rows = [replace(r, part=next(numbers)) if r.layout == "live" else r for r in project.rows]
    assert of(project, "eve").gaps == gaps


def test_flags_come_from_the_record(project: Project) -> None:
    path = project.root / "results/provenance/talk/assign_speakers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"flags": ["1 gap"]}))
    assert of(project).flags == ("1 gap",)
    lines = status.table([of(project)]).splitlines()
    columns = ["session", "layout", "length", "stage", "chunks", "gaps", "flags", "audit", "status"]
    assert lines[0].split() == columns
    assert lines[1].split() == ["talk", "recording", "0:00:21", "export", "2/2", "-", "1", "-", "complete"]
    assert lines[-1] == "talk: 1 gap"


def test_the_verdict_comes_from_the_record_while_the_audit_is_valid_and_flags_are_said_once(
    project: Project,
) -> None:
    for rule, more in (
        ("assign_speakers", {"flags": ["1 gap"]}),
        ("audit_session", {"flags": ["1 gap", "1 cut"], "verdict": "complete with flags"}),
    ):
        path = project.root / f"results/provenance/talk/{rule}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | more))
    assert (of(project).audit, of(project).flags) == ("complete with flags", ("1 gap", "1 cut"))
    delete(project.files("audit_session")[0])
    assert (of(project).audit, of(project).flags) == ("-", ("1 gap",))


def test_tracks_are_as_long_as_the_longest_and_parts_add_up(project: Project) -> None:
    assert of(project, "duo").hours == pytest.approx(9 / 3600)
    assert of(project, "eve").hours == pytest.approx(30 / 3600)


def test_what_is_not_finished_is_named_where_it_is_not_uploaded(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    delete(project.files("write_export")[0])
    settings = loading.validate({"upload": {"to": str(tmp_path / "out")}})
    assert storing.upload_sessions([project.plan().sessions["talk"]], settings) == 0
    assert capsys.readouterr().out.splitlines() == [
        "left talk: not finished (1 to do); run it first",
        "Nothing is finished yet.",
    ]
