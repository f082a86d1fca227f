"""What unit tests share."""

import errno
import fcntl
import os

import pytest
from hypothesis import settings

# How long an example takes says nothing on a machine that is busy. The examples are the same in each run, so
# that a failure is of the change that it follows; `--hypothesis-profile=explore` looks for new ones.
settings.register_profile("explore", deadline=None)
settings.register_profile("same each time", deadline=None, derandomize=True)
settings.load_profile("same each time")


@pytest.fixture
def fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small files: that they survive a power cut is not what is tested here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without `flock`, as Lustre is where it was not mounted for it."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", refuse)
