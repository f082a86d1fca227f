"""Notebooks as Colab runs them: by a kernel of their own, against a stand-in for Colab and its Drive."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from colab_machine import TALK, Machine

from project import SETTINGS, Project, copy_project, cut_audio


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project as a repository that the notebook clones: small settings, the toy models, no sessions."""
    project = copy_project(tmp_path_factory.mktemp("origin"))
    settings = yaml.safe_load((project / "config/config.yaml").read_text())
    for section, values in {**SETTINGS, "export": {"formats": ["json", "srt"]}}.items():
        settings[section] = (settings.get(section) or {}) | values
    (project / "config/config.yaml").write_text(yaml.safe_dump(settings))
    profile = project / "profiles/demo-test"
    shutil.copytree(project / "profiles/demo", profile)
    lines = (profile / "config.yaml").read_text().partition("configfile:")[0]
    (profile / "config.yaml").write_text(lines)
    for command in (["init", "-q", "-b", "main"], ["add", "--all", "--force"], ["commit", "-qm", "All"]):
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *identity, *command], cwd=project.root, check=True, capture_output=True)
    return project


@pytest.fixture(scope="session")
def home(origin: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone at home with one session of three chunks: its work bundle, and what a run here makes of it."""
    root = tmp_path_factory.mktemp("home") / "home"
    subprocess.run(["git", "clone", "-q", str(origin.root), str(root)], check=True)
    project = Project(root)
    cut_audio(TALK, project / "recordings/talk.flac", 20, 45)
    for command in (["add", "recordings/talk.flac"], ["bundle", "talk"], ["run", "--profile", "demo-test"]):
        done = project.command(sys.executable, "-m", "sessionscribe.cli.main", *command)
        assert done.code == 0, done.text
    return project


@pytest.fixture
def colab(origin: Project, home: Project, tmp_path: Path) -> Machine:
    """A fresh machine, and a Drive with the work bundle."""
    machine = Machine(tmp_path / "content", tmp_path / "drive", origin.root)
    machine.folder.mkdir(parents=True)
    shutil.copy2(home / "bundles/talk.work.zip", machine.folder)
    return machine
