"""Google Drive for desktop: its folders on three systems, made up."""

from __future__ import annotations

from pathlib import Path

import pytest

import media
from sessionscribe.config import settings
from sessionscribe.core import files
from sessionscribe.core.errors import UserError
from sessionscribe.manifest import additions, sources
from sessionscribe.stages.ingest import remote
from sessionscribe.storage.drive_desktop import find, find_new, roots
from sessionscribe.storage.locations import parent


def make(top: Path, *folders: str) -> None:
    for folder in folders:
        (top / folder).mkdir(parents=True)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def found(top: Path) -> list[str]:
    return [root.relative_to(top).as_posix() for root in roots(top)]


def test_macos(tmp_path: Path) -> None:
    cloud = "home/Library/CloudStorage/GoogleDrive-anna@example.org"
    make(
        tmp_path,
        f"{cloud}/Meine Ablage/Rec",
        f"{cloud}/Shared drives/Team",
        "home/Library/CloudStorage/Dropbox",
    )
    make(tmp_path, "Volumes/GoogleDrive/My Drive", "Volumes/Disk/My Drive")
    make(tmp_path, "home/My Drive (bob@example.org)/Rec", "home/Mon Drive")
    assert found(tmp_path) == [
        f"{cloud}/Meine Ablage",
        f"{cloud}/Shared drives",
        "home/Mon Drive",
        "home/My Drive (bob@example.org)",
        "Volumes/GoogleDrive/My Drive",
    ]


def test_windows_streaming_and_mirroring(tmp_path: Path) -> None:
    make(tmp_path, "mnt/c/Users/anna/My Drive", "mnt/c/Users/anna/My Drive (bob@example.org)/Rec")
    make(tmp_path, "mnt/g/Mi unidad", "mnt/h/data", "mnt/wsl/My Drive")
    assert found(tmp_path) == [
        "mnt/g/Mi unidad",
        "mnt/c/Users/anna/My Drive",
        "mnt/c/Users/anna/My Drive (bob@example.org)",
    ]


def test_linux(tmp_path: Path) -> None:
    make(
        tmp_path,
        "home/GoogleDrive/Rec",
        "home/Insync/a@example.org/Google Drive",
        "run/user/7/gvfs/google-drive:host=x/My Drive",
    )
    assert found(tmp_path) == [
        "home/GoogleDrive",
        "home/Insync/a@example.org/Google Drive",
        "run/user/7/gvfs/google-drive:host=x/My Drive",
    ]


def test_a_machine_without_one(tmp_path: Path) -> None:
    make(tmp_path, "home/Documents")
    assert roots(tmp_path) == []


def test_a_source_is_found_below_whichever_has_it(tmp_path: Path) -> None:
    make(tmp_path, "Meine Ablage/Rec", "Shared drives/Team/Talks")
    folders = [tmp_path / "Meine Ablage", tmp_path / "Shared drives"]
    assert find("drive-desktop:Rec", folders) == tmp_path / "Meine Ablage/Rec"
    assert find("drive-desktop:My Drive/Rec", folders) == tmp_path / "Meine Ablage/Rec"
    assert find("drive-desktop:Geteilte Ablagen/Team/Talks", folders) == tmp_path / "Shared drives/Team/Talks"
    with pytest.raises(UserError, match="does not exist"):
        find("drive-desktop:Talks", folders)
    make(tmp_path, "Shared drives/Rec")
    with pytest.raises(UserError, match="exists 2 times"):
        find("drive-desktop:Rec", folders)
    with pytest.raises(UserError, match="no Google Drive folder on this machine"):
        find("drive-desktop:Rec", [])


def test_a_place_for_results_need_not_be_there_yet(tmp_path: Path) -> None:
    make(tmp_path, "Meine Ablage/Rec", "Shared drives/Team")
    folders = [tmp_path / "Meine Ablage", tmp_path / "Shared drives"]
    assert find_new("drive-desktop:Rec", folders) == tmp_path / "Meine Ablage/Rec"
    assert find_new("drive-desktop:Rec/new/talk", folders) == tmp_path / "Meine Ablage/Rec/new/talk"
    assert (
        find_new("drive-desktop:My Drive/Transcripts/a", folders) == tmp_path / "Meine Ablage/Transcripts/a"
    )
    with pytest.raises(UserError, match="drive-desktop:Elsewhere/talk: does not exist"):
        find_new("drive-desktop:Elsewhere/talk", folders)
    make(tmp_path, "Shared drives/Rec")
    with pytest.raises(UserError, match="exists 2 times"):
        find_new("drive-desktop:Rec/new", folders)


@pytest.mark.parametrize(
    ("there", "given"),
    [
        ("Meine Ablage", "Shared drives/Team/Transcripts"),
        ("Shared drives", "My Drive/Transcripts"),
        ("Google Drive", "/My Drive/Transcripts/"),  # mirrored: one's own files are right in it
    ],
)
def test_a_place_in_a_drive_that_is_not_here_is_made_in_no_other(
    tmp_path: Path, there: str, given: str
) -> None:
    make(tmp_path, there)
    with pytest.raises(UserError, match=f"drive-desktop:{given.strip('/')}: does not exist"):
        find_new(f"drive-desktop:{given}", [tmp_path / there])


@pytest.mark.parametrize(
    "given", ["transcripts", "transcripts/talk", "My Drive/transcripts/talk", "", "/talk"]
)
def test_a_new_folder_for_results_is_made_in_the_only_drive(tmp_path: Path, given: str) -> None:
    make(tmp_path, "Meine Ablage")
    wanted = tmp_path / "Meine Ablage" / given.removeprefix("My Drive/").strip("/")
    assert find_new(f"drive-desktop:{given}", [tmp_path / "Meine Ablage"]) == wanted
    with pytest.raises(UserError, match="no Google Drive folder on this machine"):
        find_new(f"drive-desktop:{given}", [])


@pytest.mark.parametrize(
    ("given", "noted"),
    [
        ("drive-desktop:Rec", "drive-desktop:Rec/talk.wav"),
        ("drive-desktop:Rec/", "drive-desktop:Rec/talk.wav"),
        ("drive-desktop:Rec/talk.wav", "drive-desktop:Rec/talk.wav"),
        ("My Drive/Rec", "drive-desktop:My Drive/Rec/talk.wav"),
    ],
)
def test_recordings_are_noted_so_that_other_machines_find_them(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, given: str, noted: str
) -> None:
    make(home, "My Drive/Rec")
    media.write_tone(home / "My Drive/Rec/talk.wav", 0.1)
    monkeypatch.chdir(tmp_path)
    added = additions.add(
        sources.discover([given]), {}, root=Path(), settings={}, exact=False, report=lambda *_: None
    )
    (row,) = added.rows
    assert row.source == noted
    assert (row.session, row.duration_s) == ("talk", 0.1)
    assert not (tmp_path / "results").exists()


def test_recordings_are_read_where_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "home", "My Drive/Rec")
    path = media.write_tone(tmp_path / "home/My Drive/Rec/talk.wav", 0.1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    with remote.opened("drive-desktop:Rec/talk.wav", files.sha256(path), settings.Ingest()) as source:
        assert source == path
    assert not (tmp_path / "caches").exists()


def test_recordings_in_the_drive_itself(tmp_path: Path) -> None:
    make(tmp_path / "home", "My Drive")
    media.write_tone(tmp_path / "home/My Drive/talk.wav", 0.1)
    (group,) = sources.discover(["drive-desktop:"])
    assert [file.source for file in group.files] == ["drive-desktop:talk.wav"]
    assert parent("drive-desktop:talk.wav") == "drive-desktop:"
    assert parent("drive-desktop:Rec/talk.wav") == "drive-desktop:Rec"
