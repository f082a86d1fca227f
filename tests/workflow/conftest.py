"""One full run of the small sessions; each test gets a copy of it."""

from __future__ import annotations

from pathlib import Path

import pytest

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
