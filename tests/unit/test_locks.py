"""Locks on files: what they mean where there are some, and what is done where there are none."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from sessionscribe.core import locks
from sessionscribe.jobs import workspace
from sessionscribe.manifest import manifest
from sessionscribe.manifest.manifest import Row
from sessionscribe.publish import state
from sessionscribe.runners.colab_sessions import Lock

ALONE = fcntl.LOCK_EX | fcntl.LOCK_NB


def test_who_comes_second_is_told(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as first, (tmp_path / "lock").open("w") as second:
        assert locks.take(first, ALONE)
        with pytest.raises(BlockingIOError):
            locks.take(second, ALONE)
        assert locks.take(first, fcntl.LOCK_UN)
        assert locks.take(second, ALONE)


def test_where_there_are_none_that_is_said(tmp_path: Path, no_locks: None) -> None:
    with (tmp_path / "lock").open("w") as file:
        assert not locks.take(file, ALONE)


def test_another_error_stays_one() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        locks.take(10**6, ALONE)  # no open file


def test_without_locks_those_of_snakemake_stay(tmp_path: Path, no_locks: None) -> None:
    lock = tmp_path / ".snakemake/locks/0.input.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    workspace.release_stale_locks(tmp_path / ".snakemake")
    assert lock.exists()


def test_without_locks_one_goes_on_alone(tmp_path: Path, no_locks: None) -> None:
    table = tmp_path / "config/sessions.tsv"
    with manifest.locked(table):
        manifest.write(table, [Row("a", "recording", "main", "a.mp3")])
    assert list(manifest.read(table)) == ["a"]
    with state.locked(tmp_path) as mine:
        assert mine is not None
    lock = Lock(tmp_path)
    assert lock.take(0)
    lock.leave()


def test_a_lock_that_another_one_has_is_not_had(tmp_path: Path) -> None:
    first, second = Lock(tmp_path), Lock(tmp_path)
    assert first.take(0)
    assert not second.take(0)
    with state.locked(tmp_path) as mine, state.locked(tmp_path) as other:
        assert mine is not None
        assert other is None
