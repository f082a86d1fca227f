"""The environment on another machine: with what is there, and with what the machine does not say."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sessionscribe.runners import environment

PINS = Path(__file__).resolve().parents[2] / "envs"


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    return Path(shutil.copy(PINS / "requirements.txt", tmp_path))


def test_it_is_made_by_pip_where_the_module_ensurepip_is_missing(
    tmp_path: Path, requirements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = [
        block for name, block in environment.blocks(requirements.read_text()) if name == "typing-extensions"
    ]
    requirements.write_text(f"{block}\n")
    monkeypatch.setattr(environment, "MODULES", ("pip",))
    # As on machines whose own settings would have other versions installed.
    (tmp_path / "constraints.txt").write_text("typing-extensions<1\n")
    for tool in ("UV", "PIP"):
        monkeypatch.setenv(f"{tool}_CONSTRAINT", str(tmp_path / "constraints.txt"))
    folder = tmp_path / "made"
    arguments = (requirements, PINS / "uv.txt", folder)
    assert environment.main(*arguments, candidates=(sys.executable,)) == 0
    made = subprocess.run([folder / "bin/python", "-c", "import typing_extensions"], check=False)
    assert made.returncode == 0
    (folder / "bin/python").unlink()
    assert environment.main(*arguments, candidates=()) == 0, "it is there: nothing is done"


def test_another_build_of_torch_comes_last(tmp_path: Path, requirements: Path) -> None:
    commands = environment.commands(
        ("python3", "pip"), requirements, PINS / "uv.txt", tmp_path / "made", "cu126"
    )
    *_, sync, torch = commands
    assert torch[-4:-2] == ["--torch-backend", "cu126"]
    assert [word.partition("==")[0] for word in torch[-2:]] == ["torch", "torchaudio"]
    (without,) = tmp_path.glob("without-torch-*")
    assert sync[-1] == str(without)
    pinned = {name for name, _ in environment.blocks(requirements.read_text())}
    kept = {name for name, _ in environment.blocks(without.read_text())}
    assert {"nvidia-ml-py", "nvidia-cublas-cu12", "torchcodec", "ctranslate2"} < kept
    assert {"torch", "torchaudio", "triton", "cuda-toolkit", "nvidia-cudnn-cu13"} < pinned - kept
    assert os.path.getsize(without) < os.path.getsize(requirements)


def test_without_a_python_it_says_so(
    tmp_path: Path, requirements: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert environment.main(requirements, PINS / "uv.txt", tmp_path / "made", candidates=()) == 2
    assert "there is no Python 3.11 or newer" in capsys.readouterr().err
