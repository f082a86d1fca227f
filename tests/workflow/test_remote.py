"""Sessions whose recordings lie on S3, through the workflow; the server is a real one."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from project import SETTINGS, Project
from remotes import Server, serving


@pytest.fixture
def far(fresh: Project, tmp_path: Path) -> Iterator[tuple[Project, Server]]:
    """A project with an empty manifest, and a bucket with the recordings of the small sessions."""
    (tmp_path / "project").mkdir()
    project = fresh.copy(tmp_path / "project")
    (tmp_path / "srv").mkdir()
    (project / "recordings").rename(tmp_path / "srv/rec")
    (project / "config/sessions.tsv").unlink()
    settings = SETTINGS | {"ingest": {"cache": {"folder": str(tmp_path / "copies")}}}
    project.settings.write_text(yaml.safe_dump(settings), encoding="utf-8")
    with serving("s3", tmp_path / "srv") as server:
        for given in (["far:rec/talk.flac", "far:rec/live"], ["far:rec/duo", "--shape", "tracks"]):
            done = project.sessionscribe("add", *given)
            assert done.code == 0, done.text
        yield project, server


def copies(project: Project) -> int:
    return len(list((project.root.parent / "copies").glob("[!.]*")))


def test_recordings_come_from_s3_and_their_copies_go_when_all_is_made(
    far: tuple[Project, Server], finished: Project
) -> None:
    project, server = far
    done = project.sessionscribe("run", "--stage", "convert")
    assert done.code == 0, done.text
    here, there = project.results("results/convert"), finished.results("results/convert")
    flacs = [name for name in there if name.endswith(".flac")]
    assert len(flacs) == 5
    assert {name: here[name] == there[name] for name in flacs} == dict.fromkeys(flacs, True)
    assert copies(project) == 5
    assert project.plan("--config", "sessions=['duo']")["fetch_recording"] == 0
    server.kill()  # what is converted needs no recording any more
    done = project.sessionscribe("run", "--session", "duo")
    assert done.code == 0, done.text
    assert project.status() == {"talk": "converting", "live": "converting", "duo": "complete"}
    assert copies(project) == 3


def uploaded(project: Project) -> list[dict[str, str]]:
    with (project / "results/upload/uploads.tsv").open(newline="") as file:
        return list(csv.DictReader(file, dialect="excel-tab"))


def test_results_go_where_they_are_wanted_once(project: Project, tmp_path: Path) -> None:
    there = tmp_path / "srv/out/all"
    there.mkdir(parents=True)
    (there / "theirs.txt").write_text("theirs")
    with serving("s3", tmp_path / "srv"):
        done = project.sessionscribe("upload", "--to", "far:out/all")
        assert done.code == 0, done.text
        made = {path.relative_to(there).as_posix(): path for path in there.rglob("*") if path.is_file()}
        assert {f"talk/talk.{ending}" for ending in ("json", "srt", "m4a")} < set(made)
        assert "live/transcription-chunk-000.json" in made
        assert made["duo/duo.srt"].read_bytes() == (project / "results/export/duo/duo.srt").read_bytes()
        before = {name: path.stat().st_mtime_ns for name, path in made.items()}
        rows = {row["place"]: row for row in uploaded(project)}
        assert set(rows) == {f"far:out/all/{name}" for name in made if name != "theirs.txt"}
        assert rows["far:out/all/talk/talk.srt"]["source"] == "recordings/talk.flac"
        assert all(row["checksum"] and row["version"] for row in rows.values())

        project.settings.write_text(project.settings.read_text() + "upload: {audio: false}\n")
        done = project.sessionscribe("upload", "duo", "--to", "far:out/all", "--delete")
        assert done.code == 0, done.text
    after = {path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file()}
    assert after == set(made) - {"duo/duo.m4a"}
    assert {name: made[name].stat().st_mtime_ns == before[name] for name in after} == dict.fromkeys(
        after, True
    )


def test_parts_of_a_live_session_get_their_transcripts_beside_them(project: Project) -> None:
    done = project.sessionscribe("upload", "live", "--to", "beside")
    assert done.code == 0, done.text
    made = json.loads((project / "recordings/live/transcription-chunk-001.json").read_bytes())
    assert made["source"] == "recordings/live/chunk-001.webm"
    assert made["segments"][0]["words"][0]["word"]
    assert json.loads((project / "recordings/live/transcription.json").read_bytes())["session"] == "live"
    again = project.sessionscribe("upload", "live", "--to", "beside")
    assert "uploaded live: nothing new" in again.out
    assert (project / "recordings/live/live.listening.m4a").is_file()
    assert "new " not in project.sessionscribe("find").out  # what was uploaded is no recording
