"""What a transcript says of itself is enough to say why two differ."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub.constants
import pytest

from sessionscribe.core.files import source_sha256
from sessionscribe.engines import models
from sessionscribe.jobs import job

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_model_of_the_hub_is_named_with_the_commit_that_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert models.describe("someone/model") == "someone/model"  # not fetched yet
    repository = tmp_path / "models--someone--model"
    (repository / "snapshots" / COMMIT).mkdir(parents=True)
    (repository / "snapshots" / COMMIT / "config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(COMMIT)
    assert models.describe("someone/model") == f"someone/model (commit:{COMMIT[:16]})"


def test_a_model_folder_is_named_with_its_checksum(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/model.bin").write_bytes(b"1")
    before = models.describe(str(tmp_path / "mine"))
    (tmp_path / "mine/model.bin").write_bytes(b"2")
    assert before.startswith("mine (folder:")
    assert models.describe(str(tmp_path / "mine")) != before


def test_other_code_is_another_version_whatever_git_says(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    before = source_sha256(tmp_path)
    (tmp_path / "notes.txt").write_text("no code")
    assert source_sha256(tmp_path) == before
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert source_sha256(tmp_path) != before


def test_versions_name_the_code_and_the_engines() -> None:
    found = job.versions()
    assert "+" in found["sessionscribe"]
    assert {"python", "faster-whisper", "ctranslate2", "pyannote.audio", "av", "torch"} <= found.keys()
