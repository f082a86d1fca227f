"""The files in a mailbox: whose they are, and where it lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionscribe.runners.machine import Settings
from sessionscribe.runners.mailbox import Mailbox
from sessionscribe.runners.mailbox_home import MailboxWorker


def test_heartbeats_of_a_killed_run_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the clock was set back, they would seem to be the latest, and home dead."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "staging").mkdir()
    homes = [MailboxWorker("~/box", Settings(tmp_path, staging=tmp_path / "staging")) for _ in range(2)]
    homes[0]._begin()
    (beat,) = (tmp_path / "box/homes").glob("*/*")
    beat.rename(beat.with_name("9999999999999999999"))
    homes[1]._begin()
    names = Mailbox("~/box").names()
    assert len([name for name in names if name.startswith("homes/")]) == 1
    assert beat.with_name("9999999999999999999").name not in " ".join(names)
    for home in homes:
        home.close(1)
    assert not Mailbox("~/box").names()
