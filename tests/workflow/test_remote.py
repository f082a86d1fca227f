"""Sessions whose recordings lie on S3, through the workflow; the server is a real one."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from project import SETTINGS, TOY, Project
from remotes import PATIENT, Server, serving
from sessionscribe.artifacts.provenance import Provenance
from sessionscribe.core import files
from sessionscribe.manifest import manifest
from sessionscribe.storage import rclone


@pytest.fixture
def far(fresh: Project, tmp_path: Path) -> Iterator[tuple[Project, Server]]:
    """A project with an empty manifest, and a bucket with the recordings of the small sessions."""
    (tmp_path / "project").mkdir()
    project = fresh.copy(tmp_path / "project")
    (tmp_path / "srv").mkdir()
    (project / "recordings").rename(tmp_path / "srv/rec")
    (project / "config/sessions.tsv").unlink()
    settings = SETTINGS | {"ingest": {"cache": {"folder": str(tmp_path / "copies-project")}}}
    project.settings.write_text(yaml.safe_dump(settings), encoding="utf-8")
    with serving("s3", tmp_path / "srv") as server:
        for given in (["far:rec/talk.flac", "far:rec/live"], ["far:rec/duo", "--layout", "multitrack"]):
            done = project.sessionscribe("add", *given)
            assert done.code == 0, done.text
        yield project, server


ONE_MORE = {
    "plan_chunks": 1,
    "build_timeline": 1,
    "transcribe_chunk": 1,
    "merge_transcript": 1,
    "embed_chunk": 3,
    "cluster_speakers": 1,
    "assign_speakers": 1,
    "audit_session": 1,
    "write_export": 1,
}


def copies(project: Project) -> int:
    return len(list((project.root.parent / f"copies-{project.root.name}").glob("[!.]*")))


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
    with serving("s3", tmp_path / "srv", "far", PATIENT):
        done = project.sessionscribe("upload", "--to", "far:out/all")
        assert done.code == 0, done.text
        made = {path.relative_to(there).as_posix(): path for path in there.rglob("*") if path.is_file()}
        assert {f"talk/talk.{ending}" for ending in ("json", "srt", "m4a")} < set(made)
        assert "live/transcription-chunk-000.json" in made
        assert made["duo/duo.srt"].read_bytes() == (project / "results/export/duo/duo.srt").read_bytes()
        before = {name: path.stat().st_mtime_ns for name, path in made.items()}
        rows = {row["place"]: row for row in uploaded(project)}
        assert set(rows) == {f"far:out/all/{name}" for name in made if name != "theirs.txt"}
        sent = rows["far:out/all/talk/talk.srt"]
        (recording,) = manifest.read(project / "config/sessions.tsv")["talk"].rows
        assert (sent["source"], sent["checksum"]) == (recording.source, recording.checksum)
        record = Provenance.read(project / "results/provenance/talk/write_export.json")
        assert sent["version"] == record.key
        assert sent["sha256"] == files.sha256(made["talk/talk.srt"])
        assert all(row["checksum"] and row["version"] for row in rows.values())

        (project / "config/changed.yaml").write_text("merge: {segment_gap_s: 3}\n")
        changed = ("--configfile", "config/test.yaml", "--configfile", "config/changed.yaml")
        done = project.sessionscribe("upload", "live", "--to", "far:out/all", "--delete", *changed)
        assert done.code == 0, done.text
        assert all(path.exists() for path in made.values()), (
            "of a live session, all but its parts is to be made"
        )

        project.settings.write_text(project.settings.read_text() + "upload: {audio: false}\n")
        for more, stays in (((), True), (("--delete",), False)):
            done = project.sessionscribe("upload", "duo", "--to", "far:out/all", *more)
            assert done.code == 0, done.text
            assert made["duo/duo.m4a"].exists() == stays
    after = {path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file()}
    assert after == set(made) - {"duo/duo.m4a"}
    assert {name: made[name].stat().st_mtime_ns == before[name] for name in after} == dict.fromkeys(
        after, True
    )


def test_a_fresh_machine_goes_on_with_a_live_session_where_another_one_stopped(
    fresh: Project, tmp_path: Path
) -> None:
    there = tmp_path / "srv/rec/users/u1/eve"
    there.mkdir(parents=True)
    parts = sorted((TOY / "recordings/live").glob("chunk-*.webm"))[:4]
    for part in parts[:3]:
        shutil.copy2(part, there)
    with serving("s3", tmp_path / "srv", "far", PATIENT):
        one = machine(fresh, tmp_path / "one")
        done = one.sessionscribe("run", "--source", "far:rec/users", "--upload")
        assert done.code == 0, done.text
        before = {path.name: path.read_bytes() for path in there.iterdir()}
        assert {"transcription-chunk-002.json", "transcription.json"} < set(before)
        rclone.run("copy", str(parts[3]), "far:rec/users/u1/eve", where="far:")

        two = machine(fresh, tmp_path / "two")
        done = two.sessionscribe("add", "far:rec/users")
        assert done.out.splitlines()[0].startswith("added u1-eve: live, 4 files")
        assert "adopted u1-eve: the transcripts of 3 parts" in done.out
        # Speakers are heard across the ends of parts, so those right before the new one are needed as well.
        assert two.plan() == {"check_models": 1, "fetch_recording": 1, "convert_audio": 3, **ONE_MORE}
        done = two.sessionscribe("run", "--source", "far:rec/users", "--upload")
        assert done.code == 0, done.text
        assert copies(two) == 3
        assert two.status() == {"u1-eve": "complete"}
        assert two.sessionscribe("find").out.startswith("Nothing to do.")  # what was uploaded is no recording
        assert "uploaded u1-eve: nothing new" in two.sessionscribe("upload").out

    after = {path.name: path.read_bytes() for path in there.iterdir()}
    assert {name for name in before if after[name] != before[name]} >= {"transcription.json"}
    transcripts = [f"transcription-chunk-00{number}.json" for number in range(4)]
    assert [after[name] == before[name] for name in transcripts[:3]] == [True] * 3
    said = json.loads(after[transcripts[3]])
    assert (said["source"], said["part"]) == ("chunk-003.webm", 3)
    assert said["segments"][0]["words"][0]["word"]
    assert said["made"]["settings"]["transcribe"]["beam_size"] == 1
    words = json.loads(after["transcription.json"])["segments"]
    assert max(word["end"] for segment in words for word in segment["words"]) > 45

    # What is of another content, damaged, or made with other settings, is made again.
    (there / "chunk-000.webm").write_bytes((there / "chunk-001.webm").read_bytes() + b"?")
    (there / "transcription-chunk-001.json").write_bytes(after["transcription-chunk-001.json"][:-9])
    with serving("s3", tmp_path / "srv"):
        three = machine(fresh, tmp_path / "three")
        other = ("--configfile", "config/other.yaml")
        (three / "config/other.yaml").write_text(three.settings.read_text().replace("size: 1", "size: 2"))
        done = three.sessionscribe("add", "far:rec/users", *other)
        assert done.out.startswith("added u1-eve: live, 4 files, 0:")
        done = three.sessionscribe("add", "far:rec/users")
        assert "the transcripts of 2 parts" in done.out


def test_a_folder_with_transcripts_beside_its_parts_is_gone_on_with_too(project: Project) -> None:
    done = project.sessionscribe("upload", "live", "--to", "beside")
    assert done.code == 0, done.text
    assert (project / "recordings/live/live.listening.m4a").is_file()
    again = project.sessionscribe("upload", "live", "--to", "beside")
    assert "uploaded live: nothing new" in again.out
    assert "new " not in project.sessionscribe("find").out  # what was uploaded is no recording
    made = {name: data for name, data in project.results("results/transcribe").items() if "/live/" in name}
    shutil.rmtree(project / "results")
    done = project.sessionscribe("add", "recordings/live")
    assert "adopted live: the transcripts of 2 parts" in done.out
    assert project.results("results/transcribe") == made


def machine(fresh: Project, to: Path) -> Project:
    """Return a project on another machine: without recordings, sessions and results."""
    to.mkdir()
    project = fresh.copy(to)
    shutil.rmtree(project / "recordings")
    (project / "config/sessions.tsv").unlink()
    own = {
        "ingest": {"cache": {"folder": str(to.parent / f"copies-{to.name}"), "keep": True}},
        "upload": {"to": "beside"},
    }
    project.settings.write_text(yaml.safe_dump(SETTINGS | own), encoding="utf-8")
    return project
