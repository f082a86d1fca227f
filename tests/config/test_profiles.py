"""Every profile plans the same work in a dry run."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import snakemake.api  # noqa: F401 -- first: its modules import one another
import yaml
from snakemake.resources import GroupResources, Resources

from project import APART, DIARIZATION_MODEL, SPEECH_MODEL, Project, add_small_sessions, copy_project

ROOT = Path(__file__).resolve().parents[2]
PROFILES = sorted(path.parent.name for path in (ROOT / "profiles").glob("*/config.yaml"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    assert all(folder.is_dir() for folder in (SPEECH_MODEL, DIARIZATION_MODEL))
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
    files = [path for path in (ROOT / "rules").glob("*.smk") if path.stem not in APART]
    rules = {name for path in files for name in re.findall(r"^rule (\w+):", path.read_text(), re.M)}
    local = {"check_models", "note_settings"}  # where Snakemake runs
    groups = settings(profile)["groups"]
    assert isinstance(groups, list)
    assert {entry.split("=")[0] for entry in groups} == rules - local


@pytest.mark.parametrize("profile", [name for name in PROFILES if "groups" in settings(name)])
def test_a_live_session_of_240_parts_is_prepared_within_a_days_limit(profile: str, project: Project) -> None:
    done = project.snakemake("--dry-run", profile=profile)
    assert done.code == 0, done.text
    # The last of each rule; they are all alike.
    minutes = dict(re.findall(r"^ *rule (\w+):$.*?\bruntime=(\d+)", done.text, re.M | re.S))

    def jobs(rule: str, count: int) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(resources={"_cores": 1, "runtime": int(minutes[rule])}, pipe_group=None)
        ] * count

    parts = 240
    layers = [
        jobs("fetch_recording", parts),
        jobs("convert_audio", parts),
        jobs("plan_chunks", parts) + jobs("build_timeline", 1),
    ]
    cores = Resources.from_mapping({"_cores": settings(profile)["cores"]})
    asked = GroupResources.basic_layered(layers, cores, run_local=False)["runtime"]
    assert parts < asked < 24 * 60


@pytest.mark.parametrize("profile", [name for name in PROFILES if "warm-runner" in settings(name)])
def test_what_needs_files_of_a_model_goes_to_the_machine_that_has_them(profile: str) -> None:
    guests = str(settings(profile)["warm-guests"]).replace(",", " ").split()
    assert sorted(guests) == ["check_models", "cluster_speakers"]
