"""What somebody who knows Snakemake expects: its options do what they do elsewhere, profile or no profile."""

from __future__ import annotations

import zipfile
from base64 import b64encode
from collections import Counter
from pathlib import Path

import pytest

from project import Project

DUO = ("--config", "sessions=['duo']")
EXPORT = "results/export/duo/duo.srt"
FROM_MERGE = {"merge_transcript": 1, "assign_speakers": 1, "audit_session": 1, "write_export": 1}
profiles = pytest.mark.parametrize("profile", ["local", None])


def chunk(project: Project) -> Path:
    (found,) = (project / "results/transcribe/duo").glob("*/alice.0000.json")
    return found


@profiles
def test_a_file_by_its_name_is_made_with_all_that_is_due_behind_it(
    project: Project, finished: Project, profile: str | None
) -> None:
    """Snakemake itself does not look behind a file that is there."""
    chunk(project).unlink()
    wanted = Counter(check_models=1, transcribe_chunk=1, **FROM_MERGE)
    del wanted["audit_session"]  # no export asked for shows it
    assert project.plan(EXPORT, profile=profile) == wanted
    if profile:
        assert project.snakemake(EXPORT, profile=profile).code == 0
        assert project.plan(*DUO, profile=profile) == Counter(audit_session=1)
        assert project.results("results/export") == finished.results("results/export")


@profiles
def test_a_forced_rule_redoes_what_follows_from_it(project: Project, profile: str | None) -> None:
    for what in ("merge_transcript", "results/merge/duo.json"):
        assert project.plan(*DUO, "--forcerun", what, profile=profile) == Counter(FROM_MERGE)
    if profile:
        assert project.snakemake(*DUO, "--forcerun", "merge_transcript", profile=profile).code == 0
        assert project.plan(*DUO, profile=profile) == Counter()


@profiles
def test_a_forced_file_is_made_alone(finished: Project, profile: str | None) -> None:
    assert finished.plan(EXPORT, "--force", profile=profile) == Counter(write_export=1)


@profiles
def test_everything_can_be_forced(finished: Project, fresh: Project, profile: str | None) -> None:
    everything = finished.plan(*DUO, "-F", profile=profile)
    assert everything == fresh.plan(*DUO, profile=profile)
    assert everything["transcribe_chunk"] == 2


@profiles
def test_until_a_rule(project: Project, profile: str | None) -> None:
    chunk(project).unlink()
    wanted = Counter(check_models=1, transcribe_chunk=1, merge_transcript=1)
    assert project.plan(*DUO, "--until", "merge_transcript", profile=profile) == wanted


@profiles
def test_what_a_killed_run_left_is_made_again(project: Project, profile: str | None) -> None:
    """As Snakemake notes it: the job was begun, an output is there, the record is not."""
    (project / "results/provenance/duo/merge_transcript.json").unlink()
    begun = project / ".snakemake/incomplete" / b64encode(b"results/merge/duo.json").decode()
    begun.parent.mkdir(exist_ok=True)
    begun.touch()
    # A profile has the option; without one Snakemake asks for it.
    assert project.snakemake(*DUO, "--dry-run", profile=profile).code == (0 if profile else 1)
    again = ("--rerun-incomplete",)
    assert project.plan(*DUO, *again, profile=profile) == Counter(FROM_MERGE)
    if profile:
        assert project.snakemake(*DUO, *again, profile=profile).code == 0
        assert project.plan(*DUO, profile=profile) == Counter()


@profiles
def test_the_summary_has_finished_files(finished: Project, profile: str | None) -> None:
    done = finished.snakemake("--summary", *DUO, profile=profile)
    assert done.code == 0, done.text
    rows = {line.split("\t")[0] for line in done.out.splitlines()[1:]}
    assert {EXPORT, "results/merge/duo.json", "results/convert/duo/bob.flac"} <= rows


@pytest.mark.parametrize("option", ["--dag", "--rulegraph"])
@profiles
def test_graphs_show_the_whole_workflow(finished: Project, option: str, profile: str | None) -> None:
    done = finished.snakemake(option, *DUO, profile=profile)
    assert done.code == 0, done.text
    for rule in ("fetch_recording", "transcribe_chunk", "merge_transcript", "write_export"):
        assert rule in done.out, rule


@profiles
def test_unlocking_is_harmless(finished: Project, profile: str | None) -> None:
    done = finished.snakemake("--unlock", profile=profile)
    assert done.code == 0, done.text
    assert finished.plan(profile=profile) == Counter()


@profiles
def test_touching_hides_nothing(project: Project, profile: str | None) -> None:
    chunk(project).unlink()
    before = project.plan(*DUO, profile=profile)
    project.snakemake("--touch", *DUO, profile=profile)
    assert not list((project / "results/transcribe/duo").glob("*/alice.0000.json"))
    assert project.plan(*DUO, profile=profile) == before


def test_the_report_of_snakemake_has_finished_work(project: Project) -> None:
    done = project.snakemake("--report", "all.html", *DUO)
    assert done.code == 0, done.text
    assert "merge_transcript" in (project / "all.html").read_text()


def test_a_report_of_chosen_sessions_and_none_of_unfinished_ones(project: Project) -> None:
    before = project.results("results")
    done = project.sessionscribe("report", "duo", "--output", "duo.zip")
    assert done.code == 0, done.text
    with zipfile.ZipFile(project / "duo.zip") as archive:
        found = {
            Path(name).name: archive.read(name).decode() for name in archive.namelist() if "/raw/" in name
        }
        page = archive.read("duo/report.html").decode()
    assert found.keys() == {
        *("timeline.svg", "talk.svg", "confidence.svg", "audit.html", "cost.html", "sessions.html")
    }
    for name in ("Who speaks when", "All sessions", "one word in twenty", "merge_transcript"):
        assert name in page, name
    assert "alice" in found["timeline.svg"]
    assert "transcribe_chunk" in found["cost.html"]
    assert ("duo" in found["sessions.html"], "talk" in found["sessions.html"]) == (True, False)
    after = project.results("results")
    assert {path: after.pop(path) for path in before} == before
    assert all(path.startswith("results/report/") for path in after)
    chunk(project).unlink()
    done = project.sessionscribe("report")
    assert done.code == 2
    assert done.err.startswith("sessionscribe: session duo: is not finished. Run")
