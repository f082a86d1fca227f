"""Sessions whose recordings lie on S3, through the workflow; the server is a real one."""

from __future__ import annotations

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
