"""`sessionscribe add`: from files, folders and patterns to rows of the manifest."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import media
from sessionscribe.config import settings as config
from sessionscribe.core import files
from sessionscribe.core.errors import UserError
from sessionscribe.manifest import additions, manifest, names, probe, sources
from sessionscribe.manifest.manifest import Row
from sessionscribe.manifest.sources import Group
from sessionscribe.stages.ingest import remote
from sessionscribe.storage import checksums

HOSTILE = [
    "with space.wav", "quote'd.wav", 'double"d.wav', "$(touch pwned).wav", "`id`.wav", "new\nline.wav",
    "-n.wav", "--help.wav", "Größe 日本語.wav", "a[1].wav", "star*.wav", "semi;colon&.wav", "back\\slash.wav",
    "%s{x}.wav", "..wav", "tab\tbed.wav",
]  # fmt: skip


@pytest.fixture
def tone(tmp_path: Path) -> bytes:
    """A tenth of a second of audio."""
    return media.write_tone(tmp_path / ".tone.wav", 0.1).read_bytes()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(content: bytes, *names: str) -> None:
    """Write files that differ in their last byte."""
    for number, name in enumerate(names):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content[:-1] + bytes([number]))


def groups_of(*given: str, **more: Any) -> list[tuple[str, str, list[str]]]:
    return [(g.name, g.layout, [f.name for f in g.files]) for g in sources.discover(given, **more)]


def add(
    groups: Sequence[Group],
    known: Sequence[Row] = (),
    *,
    exact: bool = False,
    **settings: Any,
) -> tuple[list[Row], list[UserError]]:
    manifest.write(Path("m.tsv"), known)
    added = additions.add(
        groups,
        manifest.read(Path("m.tsv")),
        root=Path(),
        settings=settings,
        exact=exact,
        report=lambda *_: None,
    )
    return added.rows, added.problems


def test_a_file_is_a_recording(tone: bytes) -> None:
    put(tone, "in/Weekly game.wav")
    assert groups_of("in/Weekly game.wav") == [("Weekly-game", "recording", ["Weekly game.wav"])]


def test_a_folder_holds_recordings_one_session_each(tone: bytes) -> None:
    put(tone, "in/a.wav", "in/b.mp3", "in/notes.txt", "in/deeper/c.wav")
    assert groups_of("in") == [("a", "recording", ["a.wav"]), ("b", "recording", ["b.mp3"])]


def test_a_folder_of_numbered_parts_is_a_live_session(tone: bytes) -> None:
    put(tone, "evening/chunk-000.webm", "evening/chunk-002.webm", "evening/chunk-010.webm")
    assert groups_of("evening") == [
        ("evening", "live", ["chunk-000.webm", "chunk-002.webm", "chunk-010.webm"])
    ]


def test_what_was_uploaded_beside_recordings_is_no_recording(tone: bytes) -> None:
    put(tone, "eve/chunk-0.wav", "eve/eve.listening.m4a", "eve/transcription-chunk-0.json", "eve/eve.srt")
    assert groups_of("eve") == [("eve", "live", ["chunk-0.wav"])]


@pytest.mark.parametrize("names", [("part_1.ogg", "part_2.ogg"), ("Segment 7.ogg", "Segment 8.ogg")])
def test_other_words_for_parts_are_understood(tone: bytes, names: tuple[str, str]) -> None:
    put(tone, *(f"talk/{name}" for name in names))
    assert groups_of("talk") == [("talk", "live", list(names))]


def test_the_shape_can_be_given(tone: bytes) -> None:
    put(tone, "game/anna.ogg", "game/bert.ogg")
    assert groups_of("game", layout="multitrack") == [("game", "multitrack", ["anna.ogg", "bert.ogg"])]
    assert groups_of("game/anna.ogg", "game/bert.ogg", layout="multitrack") == [
        ("game", "multitrack", ["anna.ogg", "bert.ogg"])
    ]


def test_patterns_are_matched_and_a_name_like_a_pattern_is_a_name(tone: bytes) -> None:
    put(tone, "in/a1.wav", "in/a2.wav", "in/b[1].wav")
    assert [name for name, *_ in groups_of("in/a?.wav")] == ["a1", "a2"]
    assert groups_of("in/b[1].wav") == [("b-1", "recording", ["b[1].wav"])]


@pytest.mark.parametrize("given", ["nothing-*.wav", "empty", "nowhere.wav", "nowhere/"])
def test_nothing_there_is_said_and_nothing_is_added(given: str) -> None:
    Path("empty").mkdir()
    with pytest.raises(UserError) as caught:
        sources.discover([given])
    assert given.rstrip("/") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_name_for_many_sessions_is_refused(tone: bytes) -> None:
    put(tone, "in/a.wav", "in/b.wav")
    with pytest.raises(UserError, match="cannot share one name"):
        sources.discover(["in"], session="x")
    assert groups_of("in/a.wav", session="my game") == [("my-game", "recording", ["a.wav"])]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_become_safe_sessions_and_keep_their_source(tone: bytes, name: str) -> None:
    put(tone, f"in/{name}")
    rows, problems = add(sources.discover([f"in/{name}"]))
    assert problems == []
    assert rows[0].source == f"in/{name}"
    assert names.NAME.fullmatch(rows[0].session)
    manifest.write(Path("again.tsv"), rows)
    (session,) = manifest.read(Path("again.tsv")).values()
    assert session.rows == tuple(rows)
    assert session.problem is None


def test_a_file_that_looks_like_a_remote_is_a_file(tone: bytes) -> None:
    put(tone, "anna: talk.wav")
    (row,), problems = add(sources.discover(["anna: talk.wav"]))
    assert (row.source, problems) == ("./anna: talk.wav", [])
    with remote.opened(row.source, row.checksum, config.Ingest()) as found:
        assert found == Path("anna: talk.wav")


def test_hostile_names_in_a_folder_are_all_found(tone: bytes) -> None:
    put(tone, *(f"in/{name}" for name in HOSTILE))
    rows, problems = add(sources.discover(["in"]))
    assert problems == []
    assert {row.source for row in rows} == {f"in/{name}" for name in HOSTILE if not name.startswith(".")}


def test_a_link_to_nothing_is_named_and_the_others_are_added(tone: bytes) -> None:
    put(tone, "in/good.wav")
    Path("in/gone.wav").symlink_to("nowhere.wav")
    rows, (problem,) = add(sources.discover(["in"]))
    assert [row.session for row in rows] == ["good"]
    assert str(problem).startswith("in/gone.wav: is a link to a file that does not exist.")


def test_a_name_that_is_not_utf8_is_refused_and_the_others_are_added(tone: bytes, here: Path) -> None:
    put(tone, "in/good.wav")
    try:
        (here / os.fsdecode(b"in/bad\xff.wav")).write_bytes(tone)
    except OSError:
        pytest.skip("this file system refuses such names itself")
    rows, problems = add(sources.discover(["in"]))
    manifest.write(Path("m.tsv"), rows)
    assert [row.session for row in rows] == ["good"]
    assert [problem.what for problem in problems] == ["has a name that is not valid UTF-8"]
    str(problems[0]).encode()


def test_durations_checksums_parts_and_settings_are_noted(tone: bytes) -> None:
    put(tone, "eve/chunk-003.wav", "eve/chunk-004.wav")
    rows, _ = add(sources.discover(["eve"]), language="de", num_speakers=3)
    assert [(row.track, row.part, row.duration_s) for row in rows] == [
        ("chunk-003", 3, 0.1),
        ("chunk-004", 4, 0.1),
    ]
    assert [row.checksum for row in rows] == [media.checksum(Path(row.source)) for row in rows]
    assert {(row.language, row.num_speakers) for row in rows} == {("de", 3)}


def test_a_source_outside_the_project_is_noted_by_its_whole_path(
    tone: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("else") / "a.wav"
    file.write_bytes(tone)
    assert add(sources.discover([str(file)]))[0][0].source == str(file)


def test_a_file_that_is_no_recording_gets_a_row_so_that_it_shows_as_failed(tone: bytes) -> None:
    put(tone, "good.wav")
    Path("bad.mp3").write_text("just words")
    rows, problems = add(sources.discover(["bad.mp3", "good.wav"]))
    assert [(row.session, row.duration_s) for row in rows] == [("bad", 0.0), ("good", 0.1)]
    assert [problem.where for problem in problems] == ["bad.mp3"]


def test_a_taken_name_is_refused_and_the_rest_is_added(tone: bytes) -> None:
    put(tone, "a/talk.wav", "b/talk.wav", "b/other.wav")
    first, _ = add(sources.discover(["a/talk.wav"]))
    rows, problems = add(sources.discover(["b"]), first)
    assert [row.source for row in rows] == ["a/talk.wav", "b/other.wav"]
    assert "the session name is taken by a/talk.wav" in str(problems[0])
    assert "--session" in str(problems[0])


def test_two_files_with_one_name_in_one_call(tone: bytes) -> None:
    put(tone, "a/talk.wav", "b/talk.wav")
    rows, problems = add(sources.discover(["a", "b"]))
    assert [row.source for row in rows] == ["a/talk.wav"]
    assert len(problems) == 1


def test_adding_again_changes_nothing(tone: bytes) -> None:
    put(tone, "talk.wav", "eve/chunk-1.wav", "eve/chunk-2.wav", "duo/a.wav", "duo/b.wav")
    given = [*sources.discover(["talk.wav", "eve"]), *sources.discover(["duo"], layout="multitrack")]
    rows, _ = add(given)
    assert add(given, rows) == (rows, [])


def test_adding_again_keeps_what_was_set_before(tone: bytes) -> None:
    put(tone, "talk.wav", "duo/a.wav", "duo/b.wav")
    given = [*sources.discover(["talk.wav"]), *sources.discover(["duo"], layout="multitrack")]
    rows, _ = add(given, language="de", hotwords="Rhône")
    rows = [replace(row, speaker="Ms A", recorded_at="2026-01-01", max_speakers=4) for row in rows]
    assert add(given, rows)[0] == rows
    assert {row.language for row in add(given, rows, language="fr")[0]} == {"fr"}
    assert {row.hotwords for row in add(given, rows, language="fr")[0]} == {"Rhône"}


def test_a_counted_duration_is_not_replaced_by_a_declared_one(tone: bytes) -> None:
    put(tone, "talk.wav")
    rows, _ = add(sources.discover(["talk.wav"]))
    counted = [replace(rows[0], duration_s=0.097)]
    assert add(sources.discover(["talk.wav"]), counted)[0] == counted
    assert add(sources.discover(["talk.wav"]), counted, exact=True)[0][0].duration_s == 0.1


def test_a_file_that_did_not_change_is_read_once(tone: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(checksums, "sha256", lambda path: read.append(path) or files.sha256(path))
    put(tone, "in/old.wav", "in/new.wav")
    os.utime("in/old.wav", (1, 1))
    first, _ = add(sources.discover(["in"]))
    read.clear()
    monkeypatch.setattr(probe, "probe", None)  # what is known is not probed either
    assert add(sources.discover(["in"]), first)[0] == first
    assert [path.name for path in read] == ["new.wav"]  # it may have changed within the clock's grain
    Path(".sessionscribe/checksums.json").write_text("{broken")
    assert add(sources.discover(["in"]), first)[0] == first


def test_a_moved_recording_keeps_its_session(tone: bytes) -> None:
    put(tone, "old/talk.wav")
    rows, _ = add(sources.discover(["old/talk.wav"]), language="de")
    Path("old").rename("new")
    again, problems = add(sources.discover(["new/talk.wav"]), rows)
    assert again == [replace(rows[0], source="new/talk.wav")]
    assert problems == []


def test_a_changed_recording_gets_its_new_checksum(tone: bytes) -> None:
    put(tone, "talk.wav")
    rows, _ = add(sources.discover(["talk.wav"]), language="de")
    media.write_tone(Path("talk.wav"), 0.3)
    (row,), _ = add(sources.discover(["talk.wav"]), rows)
    assert (row.duration_s, row.language) == (0.3, "de")
    assert row.checksum == media.checksum(Path("talk.wav")) != rows[0].checksum


def test_new_parts_join_a_live_session_in_order(tone: bytes) -> None:
    put(tone, "eve/chunk-0.wav", "eve/chunk-3.wav")
    rows, _ = add(sources.discover(["eve"]))
    put(tone, "eve/chunk-0.wav", "eve/chunk-3.wav", "eve/chunk-1.wav", "eve/chunk-10.wav")
    rows, problems = add(sources.discover(["eve"]), rows)
    assert [row.part for row in rows] == [0, 1, 3, 10]
    assert problems == []


@pytest.mark.parametrize("layout", ["live", "multitrack"])
def test_another_folder_of_the_same_name_is_another_session(tone: bytes, layout: str) -> None:
    put(tone, "a/eve/chunk-0.wav", "a/eve/chunk-1.wav", "b/eve/part-1.wav", "b/eve/part-2.wav")
    Path("b/eve/part-1.wav").write_bytes(tone[:-1] + b"x")
    Path("b/eve/part-2.wav").write_bytes(tone[:-1] + b"y")
    rows, _ = add(sources.discover(["a/eve"], layout=layout))
    again, problems = add(sources.discover(["b/eve"], layout=layout), rows)
    assert again == rows
    assert "the session name is taken" in str(problems[0])


def test_a_live_part_that_changed_gets_another_track_name(tone: bytes) -> None:
    put(tone, "eve/chunk-0.wav", "eve/chunk-1.wav")
    rows, _ = add(sources.discover(["eve"]))
    media.write_tone(Path("eve/chunk-1.wav"), 0.4)
    again, _ = add(sources.discover(["eve"]), rows)
    assert [row.track for row in again] == ["chunk-0", f"chunk-1-{again[1].checksum[:6]}"]
    assert again[1].duration_s == 0.4
    assert add(sources.discover(["eve"]), again)[0] == again


def test_a_live_part_without_a_number_is_refused(tone: bytes) -> None:
    put(tone, "eve/start.wav", "eve/chunk-1.wav")
    rows, problems = add(sources.discover(["eve"], layout="live"))
    assert rows == []
    assert "has no number in its name" in str(problems[0])


def test_a_session_does_not_change_its_shape(tone: bytes) -> None:
    put(tone, "eve/chunk-0.wav", "eve/chunk-1.wav")
    rows, _ = add(sources.discover(["eve"]))
    again, problems = add(sources.discover(["eve"], layout="multitrack"), rows)
    assert again == rows
    assert len(problems) == 1
