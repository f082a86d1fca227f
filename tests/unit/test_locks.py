"""Locks on files: what they mean where there are some, and what is done where there are none."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from sessionscribe.core import locks
from sessionscribe.jobs import workspace
from sessionscribe.manifest import manifest
from sessionscribe.manifest.manifest import Row

ALONE = fcntl.LOCK_EX | fcntl.LOCK_NB


def test_who_comes_second_is_told(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as first, (tmp_path / "lock").open("w") as second:
        assert locks.take(first, ALONE)
        with pytest.raises(BlockingIOError):
            locks.take(second, ALONE)
        assert locks.take(first, fcntl.LOCK_UN)
        assert locks.take(second, ALONE)


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.ENOLCK, errno.EINVAL, errno.ENOTTY])
def test_where_there_are_none_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", Mock(side_effect=OSError(error, os.strerror(error))))
    with (tmp_path / "lock").open("w") as file:
        assert not locks.take(file, ALONE)


def test_who_waits_says_what_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a lock that a machine left which is gone, too; a file system may not even wait for it."""
    monkeypatch.setattr(locks, "QUIET_S", 0)
    refused = [BlockingIOError, BlockingIOError, None]
    monkeypatch.setattr(fcntl, "flock", Mock(side_effect=refused))
    with locks.locked(tmp_path / "lock") as mine:
        assert mine is not None
    assert capsys.readouterr().err == (
        f"sessionscribe: {tmp_path}/lock: another process has locked it; waiting. {locks.HINT}\n"
    )


def test_another_error_stays_one() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        locks.take(10**6, ALONE)  # no open file


AT_WORK = """
import sys, time
from pathlib import Path
from sessionscribe.jobs import workspace
workspace.release_stale_locks(Path(sys.argv[1]))
print("at work", flush=True)
time.sleep(60)
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another main process in ``tmp_path/.snakemake``, which has Snakemake's lock."""
    command = [sys.executable, "-c", AT_WORK, str(tmp_path / ".snakemake")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        (tmp_path / ".snakemake/locks").mkdir()
        (tmp_path / ".snakemake/locks/0.input.lock").touch()
        yield process
        process.kill()


def lock_stays(tmp_path: Path) -> bool:
    workspace.release_stale_locks(tmp_path / ".snakemake")
    return (tmp_path / ".snakemake/locks/0.input.lock").exists()


@pytest.mark.parametrize("locks", [True, False])
def test_after_kill_9_the_next_run_works_with_kernel_locks_and_without(
    tmp_path: Path, other: subprocess.Popen[str], locks: bool, request: pytest.FixtureRequest
) -> None:
    if not locks:
        request.getfixturevalue("no_locks")
        assert lock_stays(tmp_path)  # with one, this process would have a share of it from here on
    other.kill()
    if locks:
        other.wait()
    else:  # dead, but not collected by its parent, as in a container
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert not lock_stays(tmp_path)
    assert workspace.at_work(tmp_path / ".snakemake") == {}


@pytest.mark.parametrize(
    ("changes", "stays"),
    [
        ({"host": "node7"}, True),  # nobody here can tell
        ({"boot": "", "namespace": workspace.NO_CONTAINER}, False),  # a boot before
        ({"boot": "", "namespace": "pid:[1]"}, True),  # a container of this name, perhaps elsewhere
        ({"began": "1"}, False),  # the number was given again
        ({"pid": 0}, False),
        ({"another": "field"}, False),  # no note at all
    ],
    ids=repr,
)
def test_without_locks_a_note_tells_who_may_live(
    tmp_path: Path, other: subprocess.Popen[str], no_locks: None, changes: dict[str, object], stays: bool
) -> None:
    (note,) = (tmp_path / ".snakemake" / workspace.AT_WORK).iterdir()
    note.write_text(json.dumps(json.loads(note.read_text()) | changes))
    assert lock_stays(tmp_path) == stays
    if stays:
        assert list(workspace.at_work(tmp_path / ".snakemake")) == [note]
        note.unlink()  # as the message says
        assert not lock_stays(tmp_path)


def test_another_container_of_this_name_is_not_taken_for_dead(
    tmp_path: Path, other: subprocess.Popen[str], no_locks: None
) -> None:
    (note,) = (tmp_path / ".snakemake" / workspace.AT_WORK).iterdir()
    content = json.loads(note.read_text())
    note.write_text(json.dumps(content | {"namespace": "pid:[1]", "pid": 10**6}))
    assert lock_stays(tmp_path)


def test_without_locks_one_goes_on_alone(tmp_path: Path, no_locks: None) -> None:
    table = tmp_path / "config/sessions.tsv"
    with manifest.locked(table):
        manifest.write(table, [Row("a", "recording", "main", "a.mp3")])
    assert list(manifest.read(table)) == ["a"]
    with locks.locked(tmp_path / "lock", wait=False) as mine:
        assert mine is not None
    with (tmp_path / "lock").open("w") as file:
        assert locks.wait_for(file, 0)


def test_a_lock_that_another_one_has_is_not_had(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as first, (tmp_path / "lock").open("w") as second:
        assert locks.wait_for(first, 0)
        assert locks.wait_for(first, 0), "to have it already is well"
        assert not locks.wait_for(second, 0)
    path = tmp_path / "publish/lock"
    with locks.locked(path) as mine, locks.locked(path, wait=False) as other:
        assert mine is not None
        assert other is None
