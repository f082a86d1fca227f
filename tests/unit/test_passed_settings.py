"""Settings that `sessionscribe run` passes on to Snakemake count for its own view of the work as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sessionscribe import cli, config

FILE = "transcribe: {beam_size: 3, window_s: 20}\n"


@pytest.mark.parametrize(
    ("passed", "wanted"),
    [
        ("-n --quiet host", {}),
        ("-n --config sessions=['duo'] export={formats:[txt]} --quiet host", None),
        ("--config transcribe={beam_size:2} --config manifest=a.tsv", {"manifest": "a.tsv"}),
        ("--config manifest=a=b.tsv", {"manifest": "a=b.tsv"}),
        ("-C manifest=", {"manifest": None}),
        ("--config manifest=a:b:{", {"manifest": "a:b:{"}),
    ],
)
def test_what_follows_config_is_read(passed: str, wanted: dict[str, Any] | None) -> None:
    found = cli._passed_settings(passed.split())
    if wanted is None:
        assert found["sessions"] == ["duo"]
        assert "export" in found
    else:
        assert found == wanted


def test_it_goes_over_the_files_and_becomes_what_the_settings_are(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(FILE)
    passed = ["--config", "transcribe={beam_size: 2}", "diarize={num_speakers: 3}"]
    found = config.load([tmp_path / "a.yaml"], cli._passed_settings(passed))
    assert (found.transcribe.beam_size, found.transcribe.window_s) == (2, 20)
    assert found.diarize.num_speakers == 3


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What Snakemake is told, in a project without any work to do."""
    (tmp_path / "Snakefile").touch()
    monkeypatch.chdir(tmp_path)
    found: list[list[str]] = []
    monkeypatch.setattr(cli.run, "snakemake", lambda arguments, _work: bool(found.append(arguments)))
    return found


@pytest.mark.parametrize(("given", "outcome"), [("-np", False), ("-n", False), ("-pk", True)])
def test_a_plan_is_followed_by_no_upload(
    given: str, outcome: bool, told: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads: list[object] = []
    monkeypatch.setattr(cli.storing, "upload_sessions", lambda *_: bool(uploads.append(None)))
    assert cli.main(["run", given, "--upload"]) == 0
    assert told[0][0] == given
    assert bool(uploads) is outcome
