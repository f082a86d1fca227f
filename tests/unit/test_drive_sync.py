"""Files that are brought to a folder which may lose them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionscribe.notebook.drive_sync import DriveSync


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for number in (1, 2):
        (folder / f"part-{number}.zip").write_bytes(bytes(number))
    (tmp_path / "drive").mkdir()
    return folder


def test_what_has_arrived_counts_and_what_is_lost_is_sent_again(source: Path) -> None:
    drive, arrived = source.with_name("drive"), set[str]()
    sync = DriveSync(source, drive, lambda path: path.name in arrived)
    assert sync.sync() == 0
    assert sync.get_progress().waiting == ["part-1.zip", "part-2.zip"]
    arrived.add("part-1.zip")
    (drive / "part-2.zip").unlink()
    assert sync.sync() == 1
    assert sorted(path.name for path in drive.iterdir()) == ["part-1.zip", "part-2.again-2.zip"]
    arrived.add("part-2.again-2.zip")
    assert sync.sync() == 1
    assert str(sync.get_progress()) == "2 saves on Drive"


def test_what_does_not_arrive_in_time_is_sent_again(source: Path) -> None:
    drive = source.with_name("drive")
    sync = DriveSync(source, drive, lambda path: "again" in path.name, patience_s=0)
    sync.sync()
    sync.sync()
    sync.sync()
    assert not sync.get_progress().waiting
    assert (drive / "part-1.again-2.zip").exists()


def test_where_nobody_says_a_listing_after_a_while_decides(source: Path) -> None:
    sync = DriveSync(source, source.with_name("drive"), lambda _: None, patience_s=0.05)
    sync.sync()
    assert sync.get_progress().waiting
    assert sync.wait(5, interval_s=0.01)


def test_another_process_goes_on_without_copying_again(source: Path) -> None:
    drive = source.with_name("drive")
    DriveSync(source, drive, lambda _: False).sync()
    before = (drive / "part-1.zip").stat().st_ino
    again = DriveSync(source, drive, lambda _: True)
    again.sync()
    assert (drive / "part-1.zip").stat().st_ino == before
    assert not again.get_progress().waiting


def test_a_folder_that_cannot_be_written_is_told_and_tried_again(source: Path) -> None:
    drive = source.with_name("drive")
    drive.rmdir()
    sync = DriveSync(source, drive, lambda _: True)
    assert not sync.wait(0)
    assert "No such file or directory" in str(sync.get_progress())
    drive.mkdir()
    assert sync.wait(5, interval_s=0.01)
    assert str(sync.get_progress()) == "2 saves on Drive"
