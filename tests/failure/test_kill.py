"""Runs that end early: killed outright, or asked to stop."""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml
from kill_demo import dear_files, main, started

from project import Project

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc here")
RUN = ["--configfile", "config/test.yaml"]
TERMINATED = """
import runpy, signal
from snakemake.scheduling.job_scheduler import JobScheduler

finish_jobs = JobScheduler._finish_jobs

def terminate(scheduler):
    if scheduler._tofinish:
        assert scheduler._lock.locked()
        JobScheduler._finish_jobs = finish_jobs
        signal.alarm(30)
        signal.raise_signal(signal.SIGTERM)
    finish_jobs(scheduler)

JobScheduler._finish_jobs = terminate
runpy.run_module("snakemake_logger_plugin_sessionscribe", run_name="__main__")
"""
"""A program: Snakemake that gets SIGTERM while it notes that its first job is done, and 30 s for its end."""


@pytest.fixture(scope="module")
def small(fresh: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A pair of tracks, whose speakers are known."""
    project = fresh.copy(tmp_path_factory.mktemp("small"))
    settings = yaml.safe_load(project.settings.read_text())
    settings |= {"sessions": ["duo"], "export": {"formats": ["json", "srt"]}}
    project.settings.write_text(yaml.safe_dump(settings))
    return project


def test_a_kill_at_a_random_moment(
    fresh: Project, finished: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    """`make kill-test` has twenty."""
    seconds = (finished / "seconds.txt").read_text()
    given = ["--project", str(fresh.root), "--reference", str(finished.root), "--seconds", seconds]
    code = main(["--times", "1", "--seed", "7", *given, "--config", "config/test.yaml"])
    lines = capfd.readouterr().out.splitlines()
    assert code == 0, "\n".join(lines)
    assert lines[-1] == "1 of 1 kills went well (seed 7)"
    assert len([line for line in lines if line.startswith("kill ")]) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_run_that_is_asked_to_stop_stops_and_the_next_one_goes_on(
    small: Project, tmp_path: Path, number: signal.Signals
) -> None:
    project = small.copy(tmp_path)
    arguments = [*RUN, "--session", "duo"]
    with started(project, arguments) as running:
        end = time.monotonic() + 120
        while not list(project.root.glob("results/convert/*/*.flac")) and time.monotonic() < end:
            assert running.process.poll() is None, running.log.read_text()
            time.sleep(0.1)
        running.process.send_signal(number)
        code = running.process.wait(60)
        said = running.log.read_text()
        assert code == 128 + number, said
        assert "Stopped. What is finished stays: run again to go on." in said
        assert "sessionscribe: " not in said, "what was interrupted is no failure"
        assert "Traceback" not in said
        assert "duo " in said, "the table shows how far it came"
        end = time.monotonic() + 10
        while running.pids() and time.monotonic() < end:
            time.sleep(0.1)
        assert running.pids() == [], "no job goes on alone"
    before = dear_files(project)
    done = project.sessionscribe("run", "--session", "duo")
    assert done.code == 0, done.text
    assert project.status()["duo"] == "complete"
    after = dear_files(project)
    assert all(after[name] == made for name, made in before.items())
    assert project.plan("--config", "sessions=['duo']") == Counter()


def test_sigterm_while_snakemake_notes_what_is_done_ends_the_run(small: Project, tmp_path: Path) -> None:
    project = small.copy(tmp_path)
    (project / "scripts/terminated.py").write_text(TERMINATED)
    how = [*RUN, "--config", "sessions=[duo]", "--cores", "2", "--profile", "profiles/local"]
    done = project.program("terminated", *how)
    assert done.code == 128 + signal.SIGTERM, done.text
    assert "Stopped (SIGTERM). What is finished stays: run again to go on." in done.err
    assert not list(project.root.glob("results/merge/*")), "nothing more begins"
