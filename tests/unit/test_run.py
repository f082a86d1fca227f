"""The front of Snakemake: progress in lines, messages, and the end of the log when nothing was told."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from sessionscribe import run, workspace
from sessionscribe.run import Progress

WORK = {"convert_audio": 2, "transcribe_chunk": 3}


def test_progress_counts_its_own_jobs_and_says_the_end() -> None:
    stream = io.StringIO()
    progress = Progress(WORK, stream)
    for rule in ("check_models", "convert_audio", "convert_audio", *["transcribe_chunk"] * 3, "all"):
        progress.finish(rule)
    progress.close()
    assert stream.getvalue().startswith("100%  5 of 5 jobs, ")


def test_long_jobs_weigh_more_than_short_ones() -> None:
    stream = io.StringIO()
    progress = Progress(WORK, stream)
    progress.finish("convert_audio")
    progress.show()
    progress.show()
    assert stream.getvalue().count("\n") == 1, "calmly"
    assert stream.getvalue().startswith("  8%  1 of 5 jobs, about ")


def test_nothing_to_do_is_no_division_by_zero() -> None:
    stream = io.StringIO()
    progress = Progress({}, stream)
    progress.show()
    progress.finish("all")
    progress.close()
    assert stream.getvalue() == ""


def fake(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Put a program in the place of `python -m snakemake`."""
    (folder / "snakemake.py").write_text(code)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_messages_of_jobs_are_shown_and_the_rest_is_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "sessionscribe: x failed: a.mp3: is empty. Do this"
    code = f"print('chatter')\nprint('{said}')\nraise SystemExit(1)\n"
    fake(tmp_path, monkeypatch, code)
    stream = io.StringIO()
    assert run.snakemake([], WORK, stream=stream) == 1
    assert f"{said}\n" in stream.getvalue()
    assert "chatter" not in stream.getvalue()
    assert "chatter" in run.LOG.read_text()


def test_other_runs_take_nothing_from_the_log_that_the_first_one_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snakemake refuses them, but not before they have a log."""
    second = "import sys; from sessionscribe import run; sys.exit(run.snakemake(['second'], {}))"
    code = f"""
import subprocess, sys
if "second" in sys.argv:
    print("the folder is locked")
    raise SystemExit(1)
print("sessionscribe: said before", flush=True)
for _ in range(2):
    subprocess.run([sys.executable, "-c", {second!r}], env={{"PYTHONPATH": {os.pathsep.join(sys.path)!r}}})
print("sessionscribe: said after", flush=True)
"""
    fake(tmp_path, monkeypatch, code)
    stream = io.StringIO()
    assert run.snakemake([], WORK, stream=stream) == 0
    assert [line for line in stream.getvalue().splitlines() if line.startswith("sessionscribe")] == [
        "sessionscribe: said before",
        "sessionscribe: said after",
    ]
    assert "said after" in run.LOG.with_suffix(".2.log").read_text()
    assert "locked" in run.LOG.read_text()


def test_when_snakemake_itself_gave_up_the_end_of_its_output_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, monkeypatch, 'print("WorkflowError: so it is")\nraise SystemExit(3)\n')
    stream = io.StringIO()
    assert run.snakemake([], WORK, stream=stream) == 3
    assert "WorkflowError: so it is" in stream.getvalue()
    assert str(run.LOG) in stream.getvalue()


@pytest.mark.parametrize("known", [True, False])
def test_where_another_run_is_at_work_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    said = "Assuming unrestricted\\nLockException:\\nError: It can be removed with the --unlock argument."
    fake(tmp_path, monkeypatch, f'print("{said}")\nraise SystemExit(1)\n')
    Path(".snakemake").mkdir()
    if known:
        workspace.note_at_work(Path(".snakemake"))
    else:  # it had ended before the present one began, which has noted nothing yet
        Path(".snakemake/sessionscribe.pid").write_text("1")
    stream = io.StringIO()
    assert run.snakemake([], WORK, stream=stream) == run.BUSY
    own = os.getpid()
    assert stream.getvalue().splitlines()[-1] == (
        f"sessionscribe: another run is at work here (process {own}). "
        f"Wait until it has finished, or stop it: kill -INT {own}"
        if known
        else "sessionscribe: another run is at work here. Wait until it has finished"
    )
    assert "unlock" not in stream.getvalue()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_so_and_nothing_of_what_it_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    code = """
import time
print("ready", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("sessionscribe: x failed: it was interrupted", flush=True)
    raise
"""
    fake(tmp_path, monkeypatch, code)

    def stop() -> None:
        while "ready" not in (run.LOG.read_text() if run.LOG.exists() else ""):
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    monkeypatch.setattr(sys, "stdin", io.StringIO())  # no terminal
    threading.Thread(target=stop).start()
    stream = io.StringIO()
    assert run.snakemake([], WORK, stream=stream) == 128 + number
    last = stream.getvalue().splitlines()[-2:]
    assert "of 5 jobs" in last[0]
    assert last[1] == "Stopped. What is finished stays: run again to go on."
    assert "interrupted" not in stream.getvalue()
    assert "Traceback" in run.LOG.read_text()


def test_what_was_told_before_is_not_told_again_and_explains_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "sessionscribe: names.tsv, line 4: is odd"
    fake(tmp_path, monkeypatch, f'print("{said}")\nprint("WorkflowError: so it is")\nraise SystemExit(1)\n')
    stream = io.StringIO()
    assert run.snakemake([], {}, told=[said], stream=stream) == 1
    assert "WorkflowError: so it is" in stream.getvalue()
    fake(tmp_path, monkeypatch, f'print("{said}")\n')
    stream = io.StringIO()
    assert run.snakemake([], {}, told=[said], stream=stream) == 0
    assert stream.getvalue() == ""


def test_an_option_that_snakemake_does_not_know_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "usage: snakemake [-h]\\n__main__.py: error: unrecognized arguments: --nosuch"
    fake(tmp_path, monkeypatch, f'print("{said}")\nraise SystemExit(2)\n')
    stream = io.StringIO()
    assert run.snakemake([], {}, stream=stream) == 2
    assert stream.getvalue() == (
        "sessionscribe: unrecognized arguments: --nosuch (`snakemake --help` lists what it takes)\n"
    )


def test_arguments_reach_snakemake_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, monkeypatch, "import sys\nprint(sys.argv[1:])\n")
    hostile = ["a b", "$(touch x)", "--config", "sessions=['é']"]
    assert run.snakemake(hostile, WORK, stream=io.StringIO()) == 0
    assert repr(hostile) in run.LOG.read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_what_only_shows_something_is_not_wrapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    fake(tmp_path, monkeypatch, 'print("as it is")\n')
    stream = io.StringIO()
    assert run.snakemake(["--dry-run"], WORK, stream=stream) == 0
    assert (capfd.readouterr().out, stream.getvalue()) == ("as it is\n", "")
    assert not run.LOG.exists()


@pytest.mark.parametrize(
    "given", ["-n", "-np", "-pn", "-Fnk", "--dryrun", "--dry-r", "-l", "-kS", "--list-rules"]
)
def test_what_makes_nothing_is_known(given: str) -> None:
    assert run.only_shows(["-c4", given, "a.txt"])


@pytest.mark.parametrize(
    "given", ["-c4", "-j2n", "-Rname", "-pk", "-C", "n=1", "-qn", "--notemp", "--debug-dag"]
)
def test_what_makes_something_is_not_taken_for_a_plan(given: str) -> None:
    """Least of all a value that an `n` is in."""
    assert not run.only_shows([given, "--cores", "2"])


@pytest.mark.parametrize(
    ("given", "quiet"),
    [
        (["-n"], True),
        (["a.txt", "--dry-run"], True),
        (["-n", "-p"], False),
        (["-np"], False),
        (["-kn"], True),
        (["-nqrules"], False),
        (["-n", "--quiet", "host"], False),
    ],
)
def test_of_a_plan_the_table_is_shown_unless_more_is_asked_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    given: list[str],
    quiet: bool,
) -> None:
    fake(tmp_path, monkeypatch, "import sys\nprint(*sys.argv[1:])\n")
    assert run.snakemake(given, WORK) == 0
    assert capfd.readouterr().out.split() == [
        *given,
        *(["--quiet", "rules", "host", "reason"] if quiet else []),
    ]
