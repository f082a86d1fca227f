"""Whole files or none, and nothing left of those that were killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sessionscribe.core.files import atomic_path, write_many, write_text
from sessionscribe.planning import results


def a_dead_pid() -> int:
    """The number of a process that has ended."""
    return int(subprocess.check_output([sys.executable, "-c", "import os; print(os.getpid())"]))


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep/a.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
    assert target.read_text() == "half"
    assert os.listdir(target.parent) == ["a.txt"]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "first")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("second")
            raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "first"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("many", [False, True])
def test_what_a_killed_process_left_is_removed_and_what_others_write_is_not(
    tmp_path: Path, many: bool
) -> None:
    dead, alive = a_dead_pid(), os.getppid()
    others = (f"{alive}-a[1]", f"{dead}-b-a[1]", f"{dead}-other", "notes-a[1]")
    kept = [f".tmp-{other}.txt" for other in others]
    for name in (f".tmp-{dead}-a[1].txt", *kept):
        (tmp_path / name).write_text("half")
    if many:
        write_many(tmp_path, {"a[1].txt": b"whole"})
    else:
        write_text(tmp_path / "a[1].txt", "whole")
    assert sorted(os.listdir(tmp_path)) == sorted(["a[1].txt", *kept])


def test_what_was_killed_and_not_collected_no_longer_writes(tmp_path: Path) -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended; its number is still taken
    (tmp_path / f".tmp-{process.pid}-a.txt").write_text("half")
    write_text(tmp_path / "a.txt", "whole")
    process.wait()
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_process_that_was_given_the_number_of_a_killed_one_writes_something_else(tmp_path: Path) -> None:
    leftover = tmp_path / f".tmp-{os.getppid()}-a.txt"
    leftover.write_text("half")
    os.utime(leftover, (0, 0))
    write_text(tmp_path / "a.txt", "whole")
    assert os.listdir(tmp_path) == ["a.txt"]


def test_json_that_is_nested_without_end_is_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.json").write_text("[" * 100_000)
    with pytest.raises(SystemExit):
        results.read_settings(str(tmp_path / "a.json"))
    assert "a.json: cannot be read (it is nested too deeply)" in capsys.readouterr().err
