"""Watched folders: what comes in is added once and whole, as the rules say."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import soundfile

from project import DEMO
from remotes import serving
from sessionscribe.batch import watch
from sessionscribe.batch.watch import Rules, Watcher
from sessionscribe.cli.add import add_groups
from sessionscribe.config.loading import validate
from sessionscribe.config.settings import WatchFolder
from sessionscribe.core.errors import UserError
from sessionscribe.manifest import manifest
from sessionscribe.manifest.sources import Group

SETTLE_S = 0.25  # a power of two: times add up exactly


class Inbox:
    """A project in the working folder, a folder that is watched, and a clock that goes as it is told."""

    now: ClassVar[float] = 0.0

    def __init__(self, folder: Path, rules: list[dict[str, Any]]) -> None:
        self.folder, self.added = folder, list[str]()
        folder.mkdir(exist_ok=True)
        self.settings = validate({"watch": {"rules": rules, "folders": [{"path": str(folder)}]}})
        self.restart()

    def restart(self) -> None:
        def add(group: Group) -> list[UserError]:
            names, result = add_groups([group], {}, self.settings)
            self.added += names
            return result.problems

        self.watcher = Watcher(self.settings, add)

    def scan(self) -> int:
        return self.watcher.scan(WatchFolder(path=str(self.folder), settle_s=SETTLE_S))

    def settle(self, seconds: float = SETTLE_S) -> list[str]:
        """Scan before and after so long; return the sessions that were added."""
        before = len(self.added)
        self.scan()
        Inbox.now += seconds
        self.scan()
        return self.added[before:]

    @property
    def rows(self) -> dict[str, manifest.Row]:
        return {s.name: s.rows[0] for s in manifest.read(Path(self.settings.manifest)).values()}


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inbox:
    (tmp_path / "project").mkdir()
    monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic=lambda: Inbox.now))
    monkeypatch.chdir(tmp_path / "project")
    return Inbox(tmp_path / "inbox", [])


def with_rules(inbox: Inbox, *rules: dict[str, Any]) -> Inbox:
    return Inbox(inbox.folder, list(rules))


def record(path: Path, seconds: float = 1.0, pitch: int = 220) -> Path:
    """Write a recording; another pitch is another content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(round(16_000 * seconds)) / 16_000
    soundfile.write(path, 0.1 * np.sin(2 * np.pi * pitch * times), 16_000, subtype="PCM_16")
    return path


def test_a_slow_copy_is_added_once_and_whole(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "time", time)
    source = record(inbox.folder.parent / "talk.wav", 4)
    data, copy = source.read_bytes(), inbox.folder / "talk.wav"
    stop = threading.Event()

    def scan_on() -> None:
        while not stop.is_set():
            inbox.scan()
            time.sleep(0.02)

    scanning = threading.Thread(target=scan_on)
    scanning.start()
    with copy.open("wb") as file:
        for part in range(4):  # each step shorter than a file must settle
            file.write(data[part * len(data) // 4 : (part + 1) * len(data) // 4])
            file.flush()
            time.sleep(0.6 * SETTLE_S)
    assert inbox.added == []
    time.sleep(2 * SETTLE_S)
    stop.set()
    scanning.join()
    assert inbox.added == ["talk"]
    assert inbox.rows["talk"].duration_s == 4


@pytest.mark.parametrize("name", ["meeting.mp4", "talk.wav", "talk.flac"])
def test_a_copy_that_stalls_is_refused_until_it_goes_on(
    name: str, inbox: Inbox, capfd: pytest.CaptureFixture[str]
) -> None:
    source = (
        DEMO / "recordings/meeting.mp4" if name == "meeting.mp4" else record(inbox.folder.parent / name, 9)
    )
    data = source.read_bytes()
    (inbox.folder / name).write_bytes(data[: len(data) // 2])
    assert inbox.settle() == []
    inbox.scan()
    (line,) = capfd.readouterr().err.splitlines()
    ((place, reason),) = watch.read_refused().items()
    assert place == str(inbox.folder / name)
    assert reason in line
    (inbox.folder / name).write_bytes(data)
    assert inbox.settle() == [Path(name).stem]
    assert watch.read_refused() == {}


def test_what_somebody_adds_by_hand_is_refused_no_more(inbox: Inbox) -> None:
    path = record(inbox.folder / "talk.wav", 9)
    path.write_bytes(path.read_bytes()[:100_000])
    inbox.settle()
    assert watch.read_refused()
    add_groups(watch.find(str(inbox.folder), Rules([])), {}, inbox.settings)
    inbox.scan()
    assert watch.read_refused() == {}


def test_files_there_at_the_start_are_added_and_known_after_a_restart(inbox: Inbox) -> None:
    for day in ("monday", "friday"):
        record(inbox.folder / day / "recording.wav", pitch=len(day) * 100)
    assert sorted(inbox.settle()) == ["friday-recording", "monday-recording"]
    inbox.restart()
    assert inbox.settle() == []


def test_a_renamed_file_keeps_its_session_and_is_not_added_again(inbox: Inbox) -> None:
    path = record(inbox.folder / "talk.wav")
    assert inbox.settle() == ["talk"]
    path.rename(inbox.folder / "lecture.wav")
    assert inbox.settle() == ["talk"]
    assert list(inbox.rows) == ["talk"]
    assert inbox.rows["talk"].source.endswith("/lecture.wav")


def test_a_copy_under_another_name_is_taken_when_it_gets_its_own(inbox: Inbox) -> None:
    (inbox.folder / ".Trash").mkdir()
    for name in (".talk.wav.x7f3", ".talk.wav", "talk.wav.part", "notes.txt", ".Trash/talk.wav"):
        record(inbox.folder.parent / "talk.wav").rename(inbox.folder / name)
    assert inbox.settle() == []
    os.rename(inbox.folder / "talk.wav.part", inbox.folder / "talk.wav")
    assert inbox.settle() == ["talk"]


def test_what_is_ignored_is_not_added(inbox: Inbox) -> None:
    inbox = with_rules(
        inbox, {"match": "keep/draft-2.wav", "ignore": False}, {"match": "**/draft-*", "ignore": True}
    )
    for name in ("draft-1.wav", "keep/draft-2.wav", "draft-3/talk.wav"):
        record(inbox.folder / name, pitch=300 + len(name))
    assert inbox.settle() == ["draft-2"]


def test_the_first_rule_that_fits_counts_for_each_option(inbox: Inbox) -> None:
    inbox = with_rules(
        inbox,
        {"match": "dnd/**/*.wav", "hotwords": "Strahd", "speakers": 5, "priority": 500},
        {"match": "*.wav", "language": "en", "hotwords": "none", "speakers": False},
    )
    record(inbox.folder / "dnd/one.wav")
    record(inbox.folder / "two.wav", pitch=300)
    assert sorted(inbox.settle()) == ["one", "two"]
    one, two = inbox.rows["one"], inbox.rows["two"]
    assert (one.hotwords, one.num_speakers, one.language, one.diarize, one.priority) == (
        "Strahd",
        5,
        "en",
        "",
        500,
    )
    assert (two.hotwords, two.num_speakers, two.language, two.diarize) == ("none", None, "en", "off")


def test_what_somebody_changed_in_the_manifest_stays(inbox: Inbox) -> None:
    inbox = with_rules(inbox, {"match": "*", "language": "en"})
    path = record(inbox.folder / "talk.wav")
    inbox.settle()
    table = Path(inbox.settings.manifest)
    table.write_text(table.read_text().replace("\ten\t", "\tde\t"))
    record(path, 2)
    assert inbox.settle() == ["talk"]
    assert (inbox.rows["talk"].language, inbox.rows["talk"].duration_s) == ("de", 2)


def test_tracks_wait_for_one_another(inbox: Inbox) -> None:
    inbox = with_rules(inbox, {"match": "craig-*/", "layout": "multitrack"})
    record(inbox.folder / "craig-1/anna.wav")
    assert inbox.settle(SETTLE_S / 2) == []
    record(inbox.folder / "craig-1/ben.wav", pitch=300)
    assert inbox.settle(0.7 * SETTLE_S) == []  # Anna's has settled
    assert inbox.settle() == ["craig-1"]
    (session,) = manifest.read(Path(inbox.settings.manifest)).values()
    assert [row.track for row in session.rows] == ["anna", "ben"]


def test_a_live_session_grows_part_by_part(inbox: Inbox) -> None:
    for part in range(2):
        record(inbox.folder / f"stream/chunk-{part:03}.wav", pitch=200 + part)
    assert inbox.settle() == ["stream"]
    record(inbox.folder / "stream/chunk-002.wav", pitch=400)
    assert inbox.settle() == ["stream"]
    assert inbox.settle() == []
    (session,) = manifest.read(Path(inbox.settings.manifest)).values()
    assert [row.part for row in session.rows] == [0, 1, 2]


def test_a_remote_is_watched_by_its_listing(inbox: Inbox, tmp_path: Path) -> None:
    record(tmp_path / "store/calls/dnd/talk.wav")
    inbox = with_rules(inbox, {"match": "dnd/", "language": "de"})
    with serving("s3", tmp_path / "store"):
        folder = WatchFolder(path="far:calls", settle_s=SETTLE_S)
        for _ in range(2):
            for _ in range(2):
                inbox.watcher.scan(folder)
                Inbox.now += SETTLE_S
            assert inbox.added == ["talk"]
            inbox.restart()
    assert inbox.rows["talk"].language == "de"


def test_a_folder_that_is_away_is_said_once_and_looked_at_again(
    inbox: Inbox, capfd: pytest.CaptureFixture[str]
) -> None:
    record(inbox.folder / "talk.wav")
    inbox.folder.rename(inbox.folder.with_name("away"))
    inbox.settle()
    assert len(capfd.readouterr().err.splitlines()) == 1
    inbox.folder.with_name("away").rename(inbox.folder)
    assert inbox.settle() == ["talk"]


def test_what_cannot_be_added_is_refused_and_others_are_added(inbox: Inbox) -> None:
    record(inbox.folder / "talk.wav")
    (inbox.folder / "link.wav").symlink_to("gone.wav")
    record(inbox.folder / "other.wav", pitch=300).rename(os.fsdecode(bytes(inbox.folder) + b"/\xff\n.wav"))
    assert inbox.settle() == ["talk"]
    reasons = {Path(source).name: reason for source, reason in watch.read_refused().items()}
    assert reasons.keys() == {"link.wav", "\udcff\n.wav"}
    assert "broken link" in reasons["link.wav"]
    assert "not valid UTF-8" in reasons["\udcff\n.wav"]
    (inbox.folder / "link.wav").unlink()
    inbox.scan()
    assert len(watch.read_refused()) == 1


def test_a_manifest_that_cannot_be_read_is_said_once_and_tried_again(
    inbox: Inbox, capfd: pytest.CaptureFixture[str]
) -> None:
    record(inbox.folder / "talk.wav")
    table = Path(inbox.settings.manifest)
    table.parent.mkdir()
    table.write_text("nonsense\n")
    assert inbox.settle() == []
    inbox.scan()
    assert len(capfd.readouterr().err.splitlines()) == 1
    table.unlink()
    assert inbox.settle() == ["talk"]


@pytest.mark.parametrize("pattern", ["!talk", "#talk", "["])
def test_a_pattern_that_fits_nothing_is_refused(pattern: str, inbox: Inbox) -> None:
    with pytest.raises(UserError, match="matches no file"):
        with_rules(inbox, {"match": pattern})


def test_explain_says_which_rule_gives_what(inbox: Inbox) -> None:
    inbox = with_rules(inbox, {"match": "*.wav", "language": "en"}, {"match": "draft-*", "ignore": True})
    record(inbox.folder / "talk.wav")

    def explained(name: str) -> list[str]:
        folders = inbox.settings.watch.folders
        return watch.explain(str(inbox.folder / name), folders, inbox.settings)

    assert explained("talk.wav")[1:] == [
        "  language: en  (rule 1: *.wav)",
        "will be added when it is complete and no longer changes",
    ]
    assert explained("draft-1.wav")[-1] == "not added: a rule ignores it"
    assert explained("talk.txt")[1:] == [
        "  no rule matches",
        "not added: its name does not end like a recording's",
    ]
    inbox.settle()
    assert explained("talk.wav")[-1] == "session talk"
    with pytest.raises(UserError, match="is not in a watched folder"):
        explained("../talk.wav")
