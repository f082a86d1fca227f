"""Snakemake's logger plugin: progress, messages, and what Snakemake says itself."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase
from snakemake_interface_logger_plugins.tests import TestLogHandlerBase

import forks
from project import Done
from sessionscribe.cli import start
from sessionscribe.cli import workflow as run
from sessionscribe.jobs import workspace
from snakemake_logger_plugin_sessionscribe import LogHandler, progress
from snakemake_logger_plugin_sessionscribe.progress import Progress

WORK = {"convert_audio": 2, "transcribe_chunk": 3}


class TestHandler(TestLogHandlerBase):
    """What the interface asks of every plugin."""

    __test__ = True

    def get_log_handler_cls(self) -> type[LogHandler]:
        return LogHandler

    def get_log_handler_settings(self) -> LogHandlerSettingsBase:
        return LogHandlerSettingsBase()


def shown(*, terminal: bool) -> tuple[Progress, io.StringIO]:
    """Return progress by a clock that stands still, and what it shows."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100, highlight=False, get_time=lambda: 0.0)
    return Progress(WORK, console), stream


def finish(made: Progress, *rules: str) -> None:
    for number, rule in enumerate(rules):
        made.begin(number, rule)
        made.end(number, done=True)


@pytest.mark.parametrize("terminal", [True, False])
def test_jobs_are_counted_and_the_end_says_how_long_it_took(terminal: bool) -> None:
    made, stream = shown(terminal=terminal)
    finish(made, "convert_audio", "convert_audio", *["transcribe_chunk"] * 3, "all")
    made.close()
    assert stream.getvalue().splitlines()[-1].endswith("100%  5 of 5 jobs, 0:00:00 in all")


def test_long_jobs_weigh_more_and_are_what_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "INTERVAL_S", 0)
    monkeypatch.setattr(progress, "COSTS", {"transcribe_chunk": 1 / 60})
    monkeypatch.setattr(progress, "JOB_S", 0.2)
    monkeypatch.setattr(progress.time, "monotonic", lambda: 0.0)
    made, stream = shown(terminal=False)
    made.begin(10, "transcribe_chunk", "talk mix 0003")
    finish(made, "convert_audio", "write_export")
    made.end(10, done=False)
    first, second, third = stream.getvalue().splitlines()
    assert first == second == "  5%  1 of 5 jobs, about 0:00:00 left  transcribe_chunk talk mix 0003"
    assert third == "  5%  1 of 5 jobs, about 0:00:00 left"


AUDIO = {"transcribe_chunk": {"a": 600.0, "b": 600.0, "c": 60.0}, "convert_audio": {"d": 1200.0, "e": 60.0}}


def test_seconds_of_audio_are_counted_and_long_chunks_weigh_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "INTERVAL_S", 0)
    stream = io.StringIO()
    made = Progress(WORK, Console(file=stream, width=100), AUDIO)
    for number, output in enumerate("cab"):
        made.begin(number, "transcribe_chunk", f"talk mix 000{number}", output)
        made.end(number, done=True)
    made.close()
    shares = [line.split()[0] for line in stream.getvalue().splitlines()]
    assert shares[:3] == ["5%", "51%", "98%"]
    assert "98%  3 of 5 jobs, 0:21:00 of 0:21:00 transcribed" in stream.getvalue()


def test_of_some_of_the_work_the_audio_is_estimated() -> None:
    """As with `--until`, or where some files were asked for."""
    stream = io.StringIO()
    made = Progress({"convert_audio": 1}, Console(file=stream, width=100), AUDIO)
    made.close()
    assert "0:00:00 of 0:10:30 converted" in stream.getvalue()


def test_what_is_left_does_not_grow_while_one_job_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs down, and where it was too little that is said."""
    made, _ = shown(terminal=False)
    finish(made, "convert_audio", "transcribe_chunk")
    task = made._task
    left = task.fields["ends"]
    assert left is not None
    made.begin(9, "transcribe_chunk", "talk mix 0001")
    for later, says in (
        (5.0, "about 0:00:15 left"),
        (15.0, "about 0:00:05 left"),
        (40.0, "takes longer than estimated"),
    ):
        monkeypatch.setattr(progress.time, "monotonic", lambda later=later: left - 20 + later)
        assert says in progress._state(task)
        assert progress._state(task).endswith("transcribe_chunk talk mix 0001")
    made.close()


def test_what_is_left_does_not_jump_when_jobs_at_work_together_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the first two ends of pairs of equal jobs, a minute each."""
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    console = Console(file=io.StringIO(), width=100, get_time=lambda: now)
    made, ends = Progress({"transcribe_chunk": 20}, console), []
    for number in range(20):
        if number % 2 == 0:
            made.begin(number, "transcribe_chunk")
            made.begin(number + 1, "transcribe_chunk")
            now += 60
        made.end(number, done=True)
        ends.append(made._task.fields["ends"])
    made.close()
    assert ends == [pytest.approx(600.0)] * 20


def test_on_a_narrow_terminal_the_time_left_and_what_is_at_work_are_not_cut_off() -> None:
    stream = io.StringIO()
    made = Progress(WORK, Console(file=stream, force_terminal=True, width=80), AUDIO)
    made.begin(1, "transcribe_chunk", "talk mix 0000")
    made.close()
    assert (
        "  0%  time left not known yet, 0:00:00 of 0:21:00 transcribed  transcribe_chunk" in stream.getvalue()
    )


def test_where_nothing_ends_a_line_comes_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SILENT_S", 0.05)
    made, stream = shown(terminal=False)
    made.begin(1, "transcribe_chunk", "talk mix 0000")
    time.sleep(0.3)
    made.close()
    first, *_ = stream.getvalue().splitlines()
    assert first == "  0%  0 of 5 jobs, time left not known yet  transcribe_chunk talk mix 0000"


def test_what_waits_elsewhere_is_said_at_once_in_place_of_what_is_at_work() -> None:
    made, stream = shown(terminal=False)
    made.begin(1, "transcribe_chunk")
    made.wait("1 of 1 submissions are waiting: PartitionConfig")
    made.wait("")
    assert stream.getvalue().splitlines() == [
        "  0%  0 of 5 jobs, time left not known yet  1 of 1 submissions are waiting: PartitionConfig"
    ]


def test_lines_come_calmly() -> None:
    made, stream = shown(terminal=False)
    finish(made, *["convert_audio"] * 2)
    assert stream.getvalue() == ""


RULES = """
rule good:
    output: "good.txt"
    shell: "echo chatter; touch {output}"

rule bad:
    output: "bad.txt"
    log: "bad.log"
    shell: "echo what is wrong >&2; exit 1"

rule slow:
    output: "slow.txt"
    shell: "touch started; sleep 60"
"""
PROGRAM = "snakemake_logger_plugin_sessionscribe"
OPTIONS = ("--cores", "1", "--logger=sessionscribe")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Snakefile").write_text(RULES)
    return tmp_path


def snakemake(folder: Path, *arguments: str) -> Done:
    return Done(*forks.run(PROGRAM, [*OPTIONS, *arguments], folder, os.environ))


def test_a_run_is_two_lines_and_snakemakes_log_has_all(folder: Path) -> None:
    done = snakemake(folder, "good.txt")
    assert done.code == 0, done.text
    assert re.fullmatch(r"100%  1 of 1 jobs, 0:00:\d\d in all\n", done.err)
    (log,) = (folder / ".snakemake/log").iterdir()
    assert "Finished jobid: 0 (Rule: good)" in log.read_text()
    done = snakemake(folder, "good.txt")
    assert done.err.splitlines()[-1] == "Nothing to be done (all requested files are present and up to date)."


def test_what_a_job_says_is_shown_and_not_that_one_failed(folder: Path) -> None:
    done = snakemake(folder, "bad.txt", "good.txt", "--keep-going")
    assert done.code == 1
    assert "what is wrong" in done.err
    assert "50%  1 of 2 jobs" in done.err
    assert "At least one job" not in done.err
    assert "Look above" not in done.err
    assert "Error in rule" not in done.err


def test_what_keeps_it_from_a_run_is_said(folder: Path) -> None:
    done = snakemake(folder, "no.txt")
    assert done.code == 1
    assert done.err.startswith("MissingRuleException:")
    assert "Building DAG" not in done.err


@pytest.mark.parametrize("details", ["--dry-run", "--verbose"])
def test_a_plan_and_details_are_snakemakes_own(folder: Path, details: str) -> None:
    done = snakemake(folder, "good.txt", details)
    assert done.code == 0, done.text
    assert "Job stats:" in done.text
    assert "100%  1" not in done.text


def test_a_plan_whose_reader_has_gone_is_no_traceback(folder: Path) -> None:
    """As with `| head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", PROGRAM, *OPTIONS, "good.txt", "--dry-run"]
    done = subprocess.run(command, cwd=folder, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr


def test_closed_streams_and_other_encodings_are_no_traceback(tmp_path: Path) -> None:
    """As under a daemon, and on terminals that are not UTF-8."""
    start = "from sessionscribe.cli.start import open_streams; open_streams(); print('\u4f1a', flush=True)"
    command = f'"{sys.executable}" -c "{start}; import os; os.fstat(0), os.fstat(1)"'
    closed = subprocess.run(f"{command} <&- >&-", shell=True, capture_output=True, text=True, check=False)
    assert (closed.returncode, closed.stderr) == (0, "")
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    other = subprocess.run(command, shell=True, env=environment, capture_output=True, check=True)
    assert other.stdout == b"\\u4f1a\n"


def test_a_set_up_that_is_older_than_the_checkout_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sessionscribe.cli.main", None)
    monkeypatch.delattr("sessionscribe.cli.main", raising=False)
    assert start.main() == 2
    assert capsys.readouterr().err.endswith(" is not installed: run `make setup`\n")


def test_what_only_shows_something_is_shown(folder: Path) -> None:
    assert snakemake(folder, "good.txt", "--dag").out.startswith("digraph")
    assert "Unlocked working directory." in snakemake(folder, "--unlock").err


@pytest.mark.parametrize("where", ["here", "elsewhere", "unknown"])
def test_where_another_run_is_at_work_one_line_says_so(folder: Path, where: str) -> None:
    (folder / ".snakemake/locks").mkdir(parents=True)
    (folder / ".snakemake/locks/0.output.lock").write_text("good.txt\n")
    own, notes = os.getpid(), folder / ".snakemake" / workspace.AT_WORK
    if where != "unknown":
        workspace._leave_note(notes)
    if where == "elsewhere":
        (note,) = notes.iterdir()
        note.write_text(json.dumps(json.loads(note.read_text()) | {"host": "node7"}))
    done = snakemake(folder, "good.txt")
    assert done.code == run.BUSY
    who, how = {
        "here": (f" (process {own})", f", or stop it: kill -INT {own}"),
        "elsewhere": (
            f" (process {own} on node7)",
            "; if it has died there, run: rm '.snakemake/sessionscribe.at-work/"
            f"{socket.gethostname()}-{own}-{workspace._began(own)}.json'",
        ),
        "unknown": (
            "",
            "; if none is, here or on another machine, run: "
            "rm -r .snakemake/sessionscribe.lock .snakemake/locks",
        ),
    }[where]
    assert done.err == f"sessionscribe: another run is at work here{who}. Wait until it has finished{how}\n"


def test_an_interrupted_run_says_that_and_nothing_of_what_it_interrupted(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", PROGRAM, *OPTIONS, "slow.txt"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        while child.poll() is None and not (folder / "started").exists():
            time.sleep(0.02)
        os.killpg(child.pid, signal.SIGINT)  # as Ctrl-C does
        assert child.stderr is not None
        said = child.stderr.read().splitlines()
    assert child.returncode == run.SIGNALLED + signal.SIGINT
    assert said[-2].startswith("  0%  0 of 1 jobs, ")
    assert said[-1] == "Stopped. What is finished stays: run again to go on."


@pytest.mark.parametrize("after_s", [0.1, 0.4])
def test_an_early_interrupt_is_one_line(folder: Path, after_s: float) -> None:
    """While Snakemake is being loaded, and before there is any job."""
    snakemake = [sys.executable, "-m", "snakemake_logger_plugin_sessionscribe"]
    for command in (snakemake, [sys.executable, "-m", "sessionscribe.cli.start", "models"]):
        with subprocess.Popen(
            command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        ) as child:
            time.sleep(after_s)
            child.send_signal(signal.SIGINT)
            assert child.stderr is not None
            said = child.stderr.read().decode().splitlines()
        if (
            child.returncode == run.SIGNALLED + signal.SIGINT
        ):  # else it was done already, or Python not there yet
            assert said in (["Stopped before any work was begun."], ["Stopped."])
