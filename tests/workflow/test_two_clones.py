"""Two clones of the project on one machine, which share the user's links to profiles."""

from __future__ import annotations

import sys
from pathlib import Path

from project import Project, copy_project


def test_the_profile_of_another_clone_is_never_taken_silently(tmp_path: Path) -> None:
    one, other = copy_project(tmp_path / "one"), copy_project(tmp_path / "other")
    config = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    for project in (one, other):  # as `make setup`: the last one has the names
        assert project.command(sys.executable, "envs/link_profiles.py", **config).code == 0
    plan = (sys.executable, "-m", "snakemake", "-n", "--configfile", "config/test.yaml", "--profile")
    done = other.command(*plan, "local", **config)
    assert (done.code, "another clone" in done.err) == (0, False), done.text

    done = one.command(*plan, "local", **config)
    assert done.code == 0, done.text
    (line,) = (line for line in done.err.splitlines() if "another clone" in line)
    assert line == (
        f"sessionscribe: --profile local: the profile belongs to another clone, {other.root}, "
        "with the same settings. Use --profile profiles/local, "
        "or link the names to this clone with `make setup`"
    )
    profile = other / "profiles/local/config.yaml"
    profile.write_text(profile.read_text().replace("keep-going: true", "keep-going: false"))
    done = one.command(*plan, "local", **config)
    assert (done.code, done.text.count("another clone"), "Traceback" in done.text) == (1, 1, False)
    assert one.command(*plan, "profiles/local", **config).code == 0
    mine = tmp_path / "config/snakemake/mine"  # a person's own is no clone's
    mine.mkdir()
    (mine / "config.yaml").write_text(profile.read_text())
    assert "another clone" not in one.command(*plan, "mine", **config).text


def test_the_command_of_another_clone_says_so_and_takes_the_profiles_here(
    fresh: Project, tmp_path: Path
) -> None:
    other = fresh.copy(tmp_path / "other")
    (other / "profiles/own").mkdir()
    (other / "profiles/own/config.yaml").write_text("cores: 1\n")
    theirs = {"PYTHONPATH": str(fresh / "scripts")}
    done = other.command(
        sys.executable, "-m", "sessionscribe.cli.main", "status", "--profile", "own", **theirs
    )
    assert done.code == 0, done.text
    said = f"this command belongs to another clone, {fresh.root}; use .venv/bin/sessionscribe here"
    assert done.err == f"sessionscribe: {said}\n"
