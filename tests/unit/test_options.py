"""The options of all commands: the same everywhere, and what was meant is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sessionscribe.cli import main
from sessionscribe.manifest import manifest
from sessionscribe.manifest.manifest import Row
from sessionscribe.planning import status


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project with the sessions talk and eve, of which nothing is made."""
    monkeypatch.chdir(tmp_path)
    Path("Snakefile").touch()
    rows = [Row(name, "recording", "mix", f"{name}.wav", "sha256:0", 5.0) for name in ("talk", "eve")]
    manifest.write(Path("config/sessions.tsv"), rows)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["stats"], "status"),
        (["status", "--sesion", "talk"], "--session"),
        (["status", "--confgfile=a.yaml"], "--configfile"),
        (["run", "--sesion", "talk"], "--session"),
        (["run", "--forcerum", "merge_transcript"], "--forcerun"),
        (["run", "--stage", "trancribe"], "transcribe"),
        (["add", "a.wav", "--layout", "multitrak"], "multitrack"),
        (["evaluate", "a", "--reference", "b", "--max-werr", "1"], "--max-wer"),
        (["diff", "a", "b", "--sumary"], "--summary"),
    ],
)
def test_of_a_typo_it_is_said_what_was_meant(
    given: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main.main(given)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    assert code == 2
    assert capsys.readouterr().err.rstrip().endswith(f"Did you mean `{meant}`?")


@pytest.mark.parametrize("given", [["eve"], ["--session", "eve"], ["--session=eve", "eve"]])
@pytest.mark.parametrize("command", ["status", "verify", "upload", "publish", "report", "remove"])
def test_sessions_are_chosen_alike_everywhere(command: str, given: list[str]) -> None:
    """As arguments, or with `--session`."""
    options = main._parser().parse_args([command, *given])
    assert {*options.sessions, *options.session} == {"eve"}


def test_chosen_sessions_are_those_that_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    for given in (["eve"], ["--session", "eve"]):
        assert main.main(["status", *given]) == 0
        assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["session", "eve"]


@pytest.mark.parametrize("command", ["correct", "versions"])
def test_one_session_may_be_an_argument_or_an_option(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for given in (["tlak"], ["--session", "tlak"]):
        main.main([command, *given])
        said.append(capsys.readouterr())
    assert said[0] == said[1]
    with pytest.raises(SystemExit):
        main.main([command])


def test_a_persons_own_settings_go_over_the_programs_and_under_those_of_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("config/config.yaml").write_text("manifest: config/none.tsv\n")
    Path("config/local.yaml").write_text("manifest: config/sessions.tsv\n")
    Path("other.yaml").write_text("manifest: config/other.tsv\n")
    assert main.main(["status"]) == 0
    assert "talk" in capsys.readouterr().out
    for more in (["--configfile", "other.yaml"], ["--config", "manifest=config/other.tsv"]):
        assert main.main(["status", *more]) == 0
        assert capsys.readouterr().out.startswith("No sessions yet")


def test_arguments_may_come_after_options() -> None:
    for given in (
        ["status", "talk", "--cost", "eve"],
        ["verify", "--quick", "talk", "--profile", "demo", "eve"],
    ):
        parser = main._parser()
        options, rest = parser.parse_known_args(given)
        assert main._take_late(options, rest) == []
        assert options.sessions == ["talk", "eve"]
    options, rest = main._parser().parse_known_args(["correct", "talk", "--author", "Ada", "copy.txt"])
    assert (main._take_late(options, rest), options.edited) == ([], Path("copy.txt"))
    options, rest = main._parser().parse_known_args(["status", "--cst", "talk"])
    assert main._take_late(options, rest) == rest


def test_missing_parts_are_named_for_people_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        Row("eve", "live", f"chunk-{part}", f"eve/chunk-{part}.webm", f"sha256:{part}", 5.0, part)
        for part in (0, 3, 4, 8, 10)
    ]
    manifest.write(Path("config/sessions.tsv"), rows)
    assert main.main(["find"]) == 0
    assert "eve  (0.01 h; 6 parts missing in the recording: 1-2, 5-7, 9)" in capsys.readouterr().out
    assert main.main(["find", "--json"]) == 0
    (found,) = (one for one in json.loads(capsys.readouterr().out) if one["parts"])
    assert (found["kind"], found["what"], found["parts"]) == ("unprocessed", "eve", [1, 2, 5, 6, 7, 9])
    assert main.main(["status", "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)["sessions"]
    assert (shown["session"], shown["gaps"], shown["status"]) == ("eve", 6, "pending")


def test_what_is_flagged_by_others_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    """A pulled session's records are anybody's."""
    row = status.SessionStatus("eve", "live", 1.0, "-", 0, 1, 0, ("\x1b[2J\u202egone",), "-", (), "pending")
    print(status.table([row]))
    assert capsys.readouterr().out.endswith("eve: \\x1b[2J\\u202egone\n")


def test_a_run_without_sessions_says_how_to_add_one(capsys: pytest.CaptureFixture[str]) -> None:
    Path("config/sessions.tsv").unlink()
    assert main.main(["run"]) == 0
    assert "sessionscribe add SOURCE" in capsys.readouterr().out
