"""The front of Snakemake: what it is asked for, and how it is stopped."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from sessionscribe.cli import workflow as run
from sessionscribe.core.errors import UserError


@pytest.mark.parametrize(
    "given",
    ["-n", "-np", "-pn", "-Fnk", "--dryrun", "--dry-r", "-l", "-kS", "--list-rules", "--lint", "--dag"],
)
def test_what_makes_nothing_is_known(given: str) -> None:
    assert run.parse(["-c4", "a.txt", given]).shows


@pytest.mark.parametrize("given", [["-c4"], ["-Rn"], ["-pk"], ["-C", "nn=n"], ["--notemp"], ["--debug-dag"]])
def test_what_makes_something_is_not_taken_for_a_plan(given: list[str]) -> None:
    """Least of all a value that an `n` is in."""
    assert not run.parse([*given, "--cores", "2"]).shows


def test_nothing_is_asked_where_nothing_is_given() -> None:
    assert run.parse([]) == run.Request()


@pytest.mark.parametrize(
    ("given", "table"),
    [
        (["-n"], True),
        (["a.txt", "--dry-run"], True),
        (["-kn"], True),
        (["-k"], False),
        (["-n", "-p"], False),
        (["-np"], False),
        (["-nqrules"], False),
        (["-n", "--quiet", "host"], False),
        (["-n", "--debug-dag"], False),
    ],
)
def test_of_a_plan_the_table_is_shown_unless_more_is_asked_for(given: list[str], table: bool) -> None:
    assert run.parse(given).arguments == (*given, *(run.TABLE if table else ()))


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ("--nosuch", "unrecognized arguments: --nosuch"),
        ("--cores=x", "must be integer or 'all'"),
        ("-Cx", "name=value"),
    ],
)
def test_what_snakemake_does_not_take_is_one_line(given: str, what: str) -> None:
    with pytest.raises(UserError, match=what) as caught:
        run.parse([given])
    assert caught.value.hint.startswith(("`snakemake --help` lists", "Write it in quotes"))


def fake(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Put a program in the place of Snakemake."""
    (folder / "snakemake_logger_plugin_sessionscribe.py").write_text(code)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "stdin", io.StringIO())  # no terminal


def test_arguments_output_and_exit_code_pass_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fake(tmp_path, monkeypatch, "import sys\nprint(sys.argv[1:])\nsys.exit(75)\n")
    hostile = ["a b", "$(touch x)", "--config", "sessions=['é']"]
    assert run.start(hostile) == run.BUSY
    assert capfd.readouterr().out == f"{hostile}\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_sigint_to_snakemake_and_what_the_run_ends_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    code = """
import pathlib, sys, time
try:
    pathlib.Path("ready").touch()
    time.sleep(60)
except KeyboardInterrupt:
    pathlib.Path("interrupted").touch()
    sys.exit(1)
"""
    fake(tmp_path, monkeypatch, code)

    def stop() -> None:
        while not Path("ready").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell's background job has it
    try:
        threading.Thread(target=stop).start()
        assert run.start([]) == run.SIGNALLED + number
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert Path("interrupted").exists()


def test_a_killed_snakemake_is_a_signals_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake(tmp_path, monkeypatch, "import os\nos.kill(os.getpid(), 9)\n")
    assert run.start([]) == run.SIGNALLED + signal.SIGKILL
    assert capsys.readouterr().err == (
        "sessionscribe: Snakemake was killed (SIGKILL). Finished work is kept: run again to continue\n"
    )
