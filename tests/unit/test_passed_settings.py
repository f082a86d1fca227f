"""Settings that `sessionscribe run` passes on to Snakemake count for its own view of the work as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sessionscribe.cli import main, run, workflow
from sessionscribe.config import loading

FILE = "transcribe: {beam_size: 3, window_s: 20}\n"


@pytest.mark.parametrize(
    ("passed", "wanted"),
    [
        ("-n --quiet host", {}),
        ("-n --config sessions=['duo'] export={formats:[txt]} --quiet host", None),
        ("--config transcribe={beam_size:2} --config manifest=a.tsv", {"manifest": "a.tsv"}),
        ("--config manifest=a=b.tsv", {"manifest": "a=b.tsv"}),
        ("-C manifest=", {"manifest": None}),
        ("-npC manifest=a.tsv", {"manifest": "a.tsv"}),
        ("--config=manifest=a.tsv b.tsv", {"manifest": "a.tsv"}),
        ("-Cmanifest=a.tsv b.tsv", {"manifest": "a.tsv"}),
        ("--config manifest=a.tsv -C manifest=b.tsv", {"manifest": "b.tsv"}),
        ("-C manifest=a.tsv --configfile b.yaml", {"manifest": "a.tsv"}),
        ("--config manifest=a:b:{", {"manifest": "a:b:{"}),
    ],
)
def test_what_follows_config_is_read(passed: str, wanted: dict[str, Any] | None) -> None:
    found = workflow.parse(passed.split()).settings
    if wanted is None:
        assert found["sessions"] == ["duo"]
        assert "export" in found
    else:
        assert found == wanted


def test_it_goes_over_the_files_and_becomes_what_the_settings_are(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(FILE)
    passed = ["--config", "transcribe={beam_size: 2}", "diarize={num_speakers: 3}"]
    found = loading.load([tmp_path / "a.yaml"], workflow.parse(passed).settings)
    assert (found.transcribe.beam_size, found.transcribe.window_s) == (2, 20)
    assert found.diarize.num_speakers == 3


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What Snakemake is told, in a project without any work to do."""
    (tmp_path / "Snakefile").touch()
    monkeypatch.chdir(tmp_path)
    found: list[list[str]] = []
    monkeypatch.setattr(workflow, "start", lambda arguments, *_, **__: bool(found.append(arguments)))
    return found


@pytest.mark.parametrize(("given", "outcome"), [("-np", False), ("-n", False), ("-pk", True)])
def test_a_plan_is_followed_by_no_upload(
    given: str, outcome: bool, told: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads: list[object] = []
    monkeypatch.setattr(run.storage, "upload_sessions", lambda *_: bool(uploads.append(None)))
    assert main.main(["run", given, "--upload"]) == 0
    assert told[0][0] == given
    assert bool(uploads) is outcome


def test_a_run_that_was_stopped_is_followed_by_no_upload_and_a_refused_one_by_nothing(
    told: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uploads: list[object] = []
    monkeypatch.setattr(run.storage, "upload_sessions", lambda *_: bool(uploads.append(None)))
    for code, shown in ((130, True), (workflow.BUSY, False)):
        monkeypatch.setattr(workflow, "start", lambda *_, code=code, **__: code)
        assert main.main(["run", "-k", "--upload"]) == code
        assert ("session  layout" in capsys.readouterr().out) is shown
    assert uploads == []


def test_ctrl_c_while_a_command_looks_around_is_its_end_without_a_trace(
    told: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "Plan", interrupted)
    assert main.main(["run"]) == 130
    assert told == []
    assert capsys.readouterr() == ("", "Stopped.\n")


ROWS = "session\tshape\ttrack\tsource\na\trecording\tmain\ta.mp3\nb\trecording\tmain\tb.mp3\n"


@pytest.mark.parametrize(
    "passed",
    [
        "-n -C manifest=a.tsv",
        "-n --config manifest=a.tsv",
        "-n --config manifest=no.tsv -C manifest=a.tsv",
        "-C manifest=no.tsv --config manifest=a.tsv -n",
        "-nCmanifest=a.tsv",
        "-n target.txt --config=manifest=a.tsv",
        "-n --config manifest=a.tsv sessions=[b]",
    ],
)
def test_settings_hold_beside_the_sessions_that_were_named(passed: str, told: list[list[str]]) -> None:
    """Snakemake's own parser says what it makes of it."""
    from snakemake.cli import get_argument_parser, parse_config  # noqa: PLC0415

    Path("a.tsv").write_text(ROWS, encoding="utf-8")
    assert main.main(["run", "--session", "a", *passed.split()]) == 0
    profile = told[0].index("--profile")
    options = get_argument_parser().parse_args([*told[0][:profile], *told[0][profile + 2 :]])
    assert parse_config(options.config) == {"manifest": "a.tsv", "sessions": ["a"]}
    assert options.dryrun
    assert list(options.targets) == (["target.txt"] if "target" in passed else [])
