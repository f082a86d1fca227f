"""One full run of the small sessions per test session; each test gets a copy of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from project import DIARIZATION_MODEL, SPEECH_MODEL, Project, add_small_sessions, copy_project


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with the small sessions added and nothing made (do not change it: copy it)."""
    missing = [str(folder) for folder in (SPEECH_MODEL, DIARIZATION_MODEL) if not folder.is_dir()]
    assert not missing, f"the bundled models are missing: {missing}"
    project = copy_project(tmp_path_factory.mktemp("fresh"))
    add_small_sessions(project)
    return project


@pytest.fixture(scope="session")
def finished(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same after an undisturbed run (do not change it: copy it)."""
    project = fresh.copy(tmp_path_factory.mktemp("finished"))
    done = project.sessionscribe("run")
    assert done.code == 0, done.text
    (project / "run.txt").write_text(done.text)
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished project, to be spoilt."""
    return finished.copy(tmp_path)


@pytest.fixture
def new_project(fresh: Project, tmp_path: Path) -> Project:
    """A copy of the project before its first run."""
    return fresh.copy(tmp_path)
