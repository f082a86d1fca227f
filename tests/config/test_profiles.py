"""Every profile plans the same work in a dry run."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import snakemake.api  # noqa: F401 -- first: its modules import one another
import yaml
from snakemake.resources import GroupResources, Resources

from project import APART, Done, Project, jobs

ROOT = Path(__file__).resolve().parents[2]
PROFILES = sorted(path.parent.name for path in (ROOT / "profiles").glob("*/config.yaml"))


@pytest.fixture(scope="module")
def planned(fresh: Project) -> Callable[[str | None], Done]:
    """Return what gives a profile's dry run (None: without a profile), each made once."""

    @cache
    def plan(profile: str | None) -> Done:
        done = fresh.snakemake("--dry-run", profile=profile)
        assert done.code == 0, done.text
        return done

    return plan


def settings(profile: str) -> dict[str, object]:
    return yaml.safe_load((ROOT / "profiles" / profile / "config.yaml").read_text())


def test_no_profile_would_override_all_others() -> None:
    assert "default" not in PROFILES


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_plans_the_same_jobs(profile: str, planned: Callable[[str | None], Done]) -> None:
    counts = jobs(planned(profile).text)
    assert (counts["fetch_recording"], counts["write_export"]) == (5, 3)
    assert counts == jobs(planned(None).text)


@pytest.mark.parametrize("profile", [name for name in PROFILES if "groups" in settings(name)])
def test_a_rule_that_is_submitted_belongs_to_a_submission(profile: str) -> None:
    files = [path for path in (ROOT / "rules").glob("*.smk") if path.stem not in APART]
    rules = {name for path in files for name in re.findall(r"^rule (\w+):", path.read_text(), re.M)}
    local = {"check_models", "note_settings", "draw_session", "list_sessions"}  # where Snakemake runs
    groups = settings(profile)["groups"]
    assert isinstance(groups, list)
    assert {entry.split("=")[0] for entry in groups} == rules - local


@pytest.mark.parametrize("profile", [name for name in PROFILES if "groups" in settings(name)])
def test_a_live_session_of_240_parts_is_prepared_within_a_days_limit(
    profile: str, planned: Callable[[str | None], Done]
) -> None:
    # The last of each rule; they are all alike.
    minutes = dict(re.findall(r"^ *rule (\w+):$.*?\bruntime=(\d+)", planned(profile).text, re.M | re.S))

    def like(rule: str, count: int) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(resources={"_cores": 1, "runtime": int(minutes[rule])}, pipe_group=None)
        ] * count

    parts = 240
    layers = [
        like("fetch_recording", parts),
        like("convert_audio", parts),
        like("plan_chunks", parts) + like("build_timeline", 1),
    ]
    cores = Resources.from_mapping({"_cores": settings(profile)["cores"]})
    asked = GroupResources.basic_layered(layers, cores, run_local=False)["runtime"]
    assert parts < asked < 24 * 60


@pytest.mark.parametrize("profile", [name for name in PROFILES if "warm-runner" in settings(name)])
def test_what_needs_files_of_a_model_goes_to_the_machine_that_has_them(profile: str) -> None:
    guests = str(settings(profile)["warm-guests"]).replace(",", " ").split()
    assert sorted(guests) == ["check_models", "cluster_speakers"]
