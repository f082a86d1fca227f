"""A whole run, seen from the kernel: nobody but this machine is spoken to."""

from __future__ import annotations

import shutil
import sys

import pytest
from test_telemetry import attempts, environment

from project import Project


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace here")
def test_a_run_reaches_nobody_and_leaves_no_identifier(new_project: Project) -> None:
    trace, home = new_project / "trace", new_project / "home"
    home.mkdir()
    strace = ["strace", "--seccomp-bpf", "-f", "-qq", "-e", "trace=connect", "-o", str(trace)]
    run = ["-m", "sessionscribe.cli.main", "run", "--session", "talk", "--configfile", "config/test.yaml"]
    done = new_project.command(*strace, sys.executable, *run, **environment(home))
    assert done.code == 0, done.text
    assert attempts(trace) == []
    left = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    assert not [name for name in left if "Microsoft" in name or "telemetry" in name or name.endswith("id")]
