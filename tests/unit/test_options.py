"""The options of all commands: the same everywhere, and what was meant is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sessionscribe.cli import main, options
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
        (["run", "tlak"], "talk"),
        (["run", "--forcerum", "merge_transcript"], "--forcerun"),
        (["run", "--stage", "trancribe"], "transcribe"),
        (["add", "a.wav", "--layout", "multitrak"], "multitrack"),
        (["evaluate", "a", "--reference", "b", "--max-werr", "1"], "--max-wer"),
        (["diff", "a", "b", "--sumary"], "--summary"),
        (["batch", "--confgfile", "a.yaml", "once"], "--configfile"),
        (["enroll", "Anna", "--sesion", "talk", "--speaker", "0:06"], "--session"),
        (["run", "—session", "talk"], "--session"),
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
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.rstrip().endswith(f"Did you mean `{meant}`?")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["foo"], "invalid choice: 'foo' (choose from"),
        (["correct"], "sessionscribe correct: the following arguments are required: SESSION. `sess"),
        (["run", "--limit", "-1"], "--limit: must be a whole number from 1 on, and is `-1`. `sess"),
        (["run", "xyz"], "there is no session `xyz`. There are: talk, eve"),
        (["add", ""], "``: holds no recording"),
        (["status", "-C", "foo=1"], "configuration: foo: there is no such setting. There are: manifest, "),
        (["status", "-C", "sessions=talk"], "sessions: should be a list (it is `talk`). Write it so: [one"),
        (["status", "-C", "chunk=5"], "chunk: should have settings below it (it is `5`). Write it so: {"),
        (["status", "-C", "chunk.target_s=5"], "valid identifier. Write it in quotes: --config '"),
        (["serve", "--port", "99999"], "127.0.0.1:99999: cannot listen there (bind(): port must be 0-65535"),
    ],
)
def test_what_is_asked_wrongly_is_one_line(
    given: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main.main(given)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    assert code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert says in said


def test_settings_of_the_command_line_reach_the_commands_that_it_starts() -> None:
    given = ["-C", "merge={segment_gap_s: 2}", "--configfile", "a.yaml"]
    passed = options.passed_on(main.parse(["watch", *given]))
    assert main.parse(["batch", "once", *passed]).config == ["merge={segment_gap_s: 2}"]
    assert passed[2:] == ["--configfile", "a.yaml", "--profile", "local"]


@pytest.mark.parametrize("given", [["eve"], ["--session", "eve"], ["--session=eve", "eve"]])
@pytest.mark.parametrize("command", ["status", "verify", "upload", "publish", "report", "remove"])
def test_sessions_are_chosen_alike_everywhere(command: str, given: list[str]) -> None:
    """As arguments, or with `--session`."""
    assert main.parse([command, *given]).sessions == ["eve"]


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
        assert main.parse(given).sessions == ["talk", "eve"]
    assert main.parse(["correct", "talk", "--author", "Ada", "copy.txt"]).edited == Path("copy.txt")


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
