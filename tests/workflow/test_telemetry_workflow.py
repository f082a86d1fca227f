"""A whole run, seen from the kernel: nobody but this machine is spoken to."""

from __future__ import annotations

import shutil
import sys

import pytest

from project import Project
from traced import STRACE, attempts, reporting


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace here")
def test_a_run_reaches_nobody_and_leaves_no_identifier(new_project: Project) -> None:
    trace, home = new_project / "trace", new_project / "home"
    run = ["-m", "sessionscribe.cli.main", "run", "--session", "talk", "--configfile", "config/test.yaml"]
    done = new_project.command(*STRACE, str(trace), sys.executable, *run, **reporting(home))
    assert done.code == 0, done.text
    assert attempts(trace) == []
    left = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    assert not [name for name in left if "Microsoft" in name or "telemetry" in name or name.endswith("id")]
