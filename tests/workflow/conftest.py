"""One full run of the small sessions; each test gets a copy. A cloud, and a machine in it that is off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import aws
import sshd
from aws import Box, Cloud
from project import Once, Project


@pytest.fixture(scope="session")
def finished(fresh: Project, once: Once, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the small sessions after an undisturbed run (do not change it: copy it)."""

    def fill(folder: Path) -> None:
        project = fresh.copy(folder)
        done = project.sessionscribe("run")
        assert done.code == 0, done.text
        (project / "run.txt").write_text(done.text)

    return Project(once("finished", fill)).copy(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """Return a copy of the finished project, to be spoilt."""
    return finished.copy(tmp_path)


@pytest.fixture
def new_project(fresh: Project, tmp_path: Path) -> Project:
    """Return a copy of the project before its first run."""
    return fresh.copy(tmp_path)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Return Amazon's cloud, as moto plays it."""
    with aws.cloud(tmp_path_factory.mktemp("aws")) as cloud:
        yield cloud


@pytest.fixture
def box(cloud: Cloud, tmp_path: Path) -> Iterator[Box]:
    """Return an instance with the name `gpu`, which is off; when it is on, it is a real sshd."""
    with sshd.prepared(tmp_path / "host", "gpu") as host:
        made = Box(cloud, host, cloud.instance("gpu"))
        yield made
        made.end()
        cloud.client().terminate_instances(InstanceIds=[made.id])
