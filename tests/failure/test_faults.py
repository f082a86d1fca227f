"""Disks that are full or broken, file systems without locks; and the run after that."""

from __future__ import annotations

import errno
import shutil
import time
from pathlib import Path

import pytest
from fault_demo import NO_CALL, RUN, Faults, main, small
from kill_demo import run_to_its_end, started

pytestmark = [
    pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here"),
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc here"),
]


def test_a_sample_of_faults_is_survived(capfd: pytest.CaptureFixture[str]) -> None:
    """`make fault-test` has all of them."""
    code = main(["--sample", "1", "--seed", "1", "--without-speakers"])
    lines = capfd.readouterr().out.splitlines()
    assert code == 0, "\n".join(lines)
    assert lines[-1] == "1 of 1 faults survived (seed 1)"


@pytest.mark.parametrize("error", [errno.ENOLCK])
def test_without_file_locks_the_run_after_kill_9_goes_on(tmp_path: Path, error: int) -> None:
    faults, project = Faults(tmp_path), small(tmp_path.resolve() / "project", speakers=False)
    with faults.at(NO_CALL, 0, project, no_locks=error):
        with started(project, RUN) as running:
            end = time.monotonic() + 120
            while not list(project.root.glob(".snakemake/locks/*.lock")) and time.monotonic() < end:
                assert running.process.poll() is None, running.log.read_text()
                time.sleep(0.05)
            running.kill_all()
        assert list(project.root.glob(".snakemake/locks/*.lock"))
        run_to_its_end(project, RUN)
