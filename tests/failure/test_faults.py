"""Disks that fill or break midway, file systems without locks; and the run after that."""

from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path

import pytest
from fault_demo import RUN, Faults, main, small
from kill_demo import run_to_its_end, started

import small_disks
from project import Project

pytestmark = [
    pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here"),
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc here"),
]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with one short recording, before its first run."""
    return small(tmp_path_factory.mktemp("small"), speakers=False)


def test_a_sample_of_faults_is_survived(capfd: pytest.CaptureFixture[str]) -> None:
    """`make fault-test` has more of them."""
    code = main(["--sample", "1", "--seed", "1", "--without-speakers"])
    *lines, fault, last = capfd.readouterr().out.splitlines()
    assert code == 0, "\n".join([*lines, fault])
    assert fault == f"ENOSPC 1 fsync results/chunk: ok  the run ended with {os.EX_IOERR}"
    assert last == "1 of 1 faults survived (seed 1)"


@pytest.mark.parametrize(("folder", "size"), [("results", "64k"), (".snakemake", "80k")])
def test_a_disk_that_fills_midway_is_one_line_and_74(
    fresh: Project, tmp_path: Path, folder: str, size: str
) -> None:
    """A job meets it, or Snakemake."""
    project = fresh.copy(tmp_path)
    with small_disks.mounted(project / folder, f"size={size}"):
        done = project.sessionscribe("run")
        assert done.code == os.EX_IOERR, done.text
        assert done.err.count("the disk is full (0 MB free at ") == 1
        assert f"{project / folder}). Make room and run again: nothing is lost" in done.err
        assert "Traceback" not in done.text


@pytest.mark.parametrize("error", [errno.ENOLCK])
def test_without_file_locks_the_run_after_kill_9_goes_on(fresh: Project, tmp_path: Path, error: int) -> None:
    (tmp_path / "project").mkdir()
    faults, project = Faults(tmp_path), fresh.copy(tmp_path.resolve() / "project")
    with faults.at(project, [], no_locks=error):
        with started(project, RUN) as running:
            end = time.monotonic() + 120
            while not list(project.root.glob(".snakemake/locks/*.lock")) and time.monotonic() < end:
                assert running.process.poll() is None, running.log.read_text()
                time.sleep(0.05)
            running.kill_all()
        assert list(project.root.glob(".snakemake/locks/*.lock"))
        run_to_its_end(project, RUN)
