"""Every profile plans the same work in a dry run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from project import MODELS, Project, add_small_sessions, copy_project

ROOT = Path(__file__).resolve().parents[2]
PROFILES = sorted(path.parent.name for path in (ROOT / "profiles").glob("*/config.yaml"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    assert all(folder.is_dir() for folder in MODELS)
    project = copy_project(tmp_path_factory.mktemp("profiles"))
    add_small_sessions(project)
    return project


def settings(profile: str) -> dict[str, object]:
    return yaml.safe_load((ROOT / "profiles" / profile / "config.yaml").read_text())


def test_no_profile_would_override_all_others() -> None:
    assert "default" not in PROFILES


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_plans_the_same_jobs(profile: str, project: Project) -> None:
    assert project.plan(profile=profile) == project.plan(profile=None)


@pytest.mark.parametrize("profile", [name for name in PROFILES if "groups" in settings(name)])
def test_a_rule_that_is_submitted_belongs_to_a_submission(profile: str) -> None:
    files = [path for path in (ROOT / "rules").glob("*.smk") if path.stem != "demo_models"]
    rules = {name for path in files for name in re.findall(r"^rule (\w+):", path.read_text(), re.M)}
    local = {"check_models"}  # before anything is submitted, where Snakemake runs
    groups = settings(profile)["groups"]
    assert isinstance(groups, list)
    assert {entry.split("=")[0] for entry in groups} == rules - local


@pytest.mark.parametrize("profile", [name for name in PROFILES if "warm-runner" in settings(name)])
def test_what_needs_files_of_a_model_goes_to_the_machine_that_has_them(profile: str) -> None:
    guests = str(settings(profile)["warm-guests"]).replace(",", " ").split()
    assert sorted(guests) == ["check_models", "cluster_speakers"]
