"""Published in one clone, pulled into another: real sessions, real commands; and the page that says how."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import published
from project import ROOT, Project, copy_project
from remotes import KEY, PATIENT, SECRET, serving
from sessionscribe.artifacts.transcript import Transcript

PAGE = ROOT / "docs/versioning.md"
BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CHUNK = "results/transcribe/talk/*/mix.0001.json"
AGAIN = {
    "check_models": 1,
    "convert_audio": 1,
    "transcribe_chunk": 1,
    "merge_transcript": 1,
    "assign_speakers": 1,
    "audit_session": 1,
    "write_export": 1,
}
# Of a recording and a live session; tracks are their speakers.
SPEAKERS_AGAIN = {
    "check_models": 1,
    **dict.fromkeys(("cluster_speakers", "assign_speakers", "audit_session", "write_export"), 2),
}


@pytest.fixture(autouse=True)
def dvc_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published.isolate(tmp_path, monkeypatch)


@pytest.fixture
def here(finished: Project, tmp_path: Path) -> Project:
    """A clone with three finished sessions; the recordings are not in git."""
    project = finished.copy(tmp_path / "here")
    shutil.rmtree(project / ".snakemake")
    as_a_clone(project)
    return project


def as_a_clone(project: Project) -> None:
    """Make a project's folder what a clone is that somebody works in, with settings of his own."""
    shutil.copy2(project.settings, project / "config/config.yaml")
    published.set_up(project.root)
    with (project / ".gitignore").open("a") as ignored:
        ignored.write("/recordings/\n")
    git(project, "add", "--all")
    git(project, "commit", "-qm", "A project")


def git(project: Project, *arguments: str) -> str:
    done = project.command("git", *arguments)
    assert done.code == 0, done.text
    return done.out


def test_every_command_of_the_page_works_and_ends_with_nothing_to_do(here: Project, tmp_path: Path) -> None:
    done = here.command(sys.executable, "envs/link_profiles.py")
    assert done.code == 0, done.text
    page = PAGE.read_text(encoding="utf-8").replace("meeting", "talk")
    lines = [line for block in BLOCK.findall(page) for line in block.splitlines()]
    script = "set -eu\n" + "\n".join(f"echo '+' {i}; {line}" for i, line in enumerate(lines))
    done = here.command("bash", "-c", f'export PYTHONPATH="$PWD/scripts"\n{script}')
    last = int(done.out.rsplit("+ ", 1)[1].split()[0])
    assert done.code == 0, f"{lines[last]}\n{done.text[-2000:]}"

    there = Project(tmp_path / "colleague")
    assert set(there.status().values()) == {"complete"}
    assert there.plan() == {}
    assert not (there / "recordings").exists()
    assert git(there, "status", "--porcelain") == ""

    (chunk,) = there.root.glob(CHUNK)
    chunk.unlink()
    assert there.status() == {"talk": "blocked", "duo": "complete", "live": "complete"}
    more = there.sessionscribe("run", "--session", "duo", "--config", "export={formats: [md]}")
    assert more.code == 0, more.text
    assert (there / "results/export/duo/duo.md").is_file()


def test_sessions_from_s3_are_published_there_and_finished_for_a_colleague(
    fresh: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    (tmp_path / "served/versions").mkdir(parents=True)
    shutil.copytree(fresh / "recordings", tmp_path / "served/recordings")
    here = copy_project(tmp_path / "here")
    as_a_clone(here)
    with serving("s3", tmp_path / "served", "far", PATIENT) as server:
        address = f"http://127.0.0.1:{server.port}"
        for arguments in (
            ("dvc", "remote", "add", "-q", "--default", "versions", "s3://versions/dvc"),
            ("dvc", "remote", "modify", "versions", "endpointurl", address),
            ("dvc", "remote", "modify", "versions", "verify", "true"),
            ("git", "commit", "-qam", "Versions are on S3"),
            ("sessionscribe", "add", "far:recordings/talk.flac", "far:recordings/live"),
            ("sessionscribe", "add", "far:recordings/duo", "--layout", "multitrack"),
            ("sessionscribe", "run", "--publish"),
            ("git", "clone", "-q", ".", "../there"),
        ):
            done = here.command(*arguments)
            assert done.code == 0, f"{arguments}: {done.text}"
        there = Project(tmp_path / "there")
        names = [f"results/publish/{session}.dvc" for session in ("duo", "live", "talk")]
        done = there.command("dvc", "pull", *names)
        assert done.code == 0, done.text
        own = ("--configfile", "config/config.yaml")  # what was committed
        assert there.plan(*own) == {}
        assert there.results("results/export") == here.results("results/export")
        made = Transcript.read(there / "results/export/talk/talk.json").made
        assert made is not None
        assert made.sources.keys() == {"mix"}
        assert all(found.startswith("folder:") for found in made.models.values())
        assert made.settings["transcribe"]["window_s"] == 10
        assert made.versions.keys() >= {"sessionscribe", "ctranslate2", "pyannote.audio"}

        (chunk,) = there.root.glob("results/transcribe/talk/*/mix.0001.json")
        said = chunk.read_bytes()
        chunk.unlink()
        assert there.plan(*own) == AGAIN  # with the recording from S3
        done = there.sessionscribe("run", "--publish", *own)
        assert done.code == 0, done.text
        assert "0 published, 3 unchanged" in done.out  # made again to the byte
        assert chunk.read_bytes() == said
        assert there.plan(*own, "--config", "diarize={num_speakers: 2}") == SPEAKERS_AGAIN


def test_nobody_is_told(here: Project) -> None:
    """DVC reports to its makers unless told otherwise; each way in which we start it tells it."""
    shown = subprocess.run(
        [str(Path(sys.executable).parent / "dvc"), "config", "--list"],
        cwd=here.root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert {"core.analytics=false", "core.check_update=false"} <= set(shown.split())
