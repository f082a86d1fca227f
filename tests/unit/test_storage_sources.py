"""Recordings on remotes: found, looked at by parts, known again; real servers on loopback."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import media
from remotes import KEY, OTHERS, SECRET, Server, serving
from sessionscribe.core.errors import UserError
from sessionscribe.manifest import additions, manifest, probe, sources
from sessionscribe.manifest.manifest import Row
from sessionscribe.manifest.presence import Presence
from sessionscribe.stages.ingest import ingest
from sessionscribe.storage import listing, ranges, rclone

HOSTILE = [
    "with space.wav", "quote'd.wav", 'double"d.wav', "$(touch pwned).wav", "`id`.wav", "-n.wav", "--help.wav",
    "Größe 日本語.wav", "a[1].wav", "star*.wav", "semi;colon&.wav", "back\\slash.wav", "100%.wav",
    "a+b #1?.wav", "]odd{x}.wav", " lead.wav", "{a,b}.wav", "new\nline.wav", "tab\tbed.wav",
]  # fmt: skip


@pytest.fixture(scope="module")
def tone(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return media.write_tone(tmp_path_factory.mktemp("tone") / "tone.wav", 0.1).read_bytes()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One S3 server for all tests; its buckets are the folders of its folder."""
    with serving("s3", tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def bucket(served: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty bucket called `rec`."""
    monkeypatch.chdir(tmp_path)
    folder = served.folder / "rec"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def put(folder: Path, content: bytes, *names: str) -> None:
    """Write files that differ in their last byte."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content[:-1] + bytes([number]))


def add(*given: str, known: list[Row] | None = None) -> additions.Added:
    manifest.write(Path("m.tsv"), known or [])
    return additions.add(
        sources.discover(given),
        manifest.read(Path("m.tsv")),
        root=Path(),
        settings={},
        exact=False,
        report=lambda *_: None,
    )


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """What is read of remote files, request by request."""
    seen: list[tuple[str, int, int]] = []
    plain = ranges.Ranges.read

    def read(self: ranges.Ranges, source: str, start: int, length: int) -> bytes:
        seen.append((source, start, length))
        return plain(self, source, start, length)

    monkeypatch.setattr(ranges.Ranges, "read", read)
    return seen


def test_a_remote_file_is_a_recording(bucket: Path, tone: bytes) -> None:
    put(bucket, tone, "Weekly game.wav")
    added = add("far:rec/Weekly game.wav")
    (row,) = added.rows
    assert (row.session, row.layout, row.source) == ("Weekly-game", "recording", "far:rec/Weekly game.wav")
    assert row.duration_s == 0.1
    assert row.checksum.startswith("md5:")
    assert added.problems == []


def test_s3_is_what_the_environment_says(
    bucket: Path, tone: bytes, served: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bucket, tone, "a.wav")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{served.port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert add("s3://rec").rows[0].source == "s3://rec/a.wav"


def test_a_prefix_holds_live_sessions_and_recordings(bucket: Path, tone: bytes) -> None:
    put(
        bucket, tone, "users/u1/eve/chunk-000.wav", "users/u1/eve/chunk-002.wav", "users/u2/eve/chunk-000.wav"
    )
    put(bucket, tone[::-1], "users/u2/eve/transcription-chunk-000.json", "users/talk.wav")
    groups = {group.name: group for group in sources.discover(["far:rec/users"])}
    assert {name: group.layout for name, group in groups.items()} == {
        "talk": "recording",
        "u1-eve": "live",
        "u2-eve": "live",
    }
    assert [file.name for file in groups["u1-eve"].files] == ["chunk-000.wav", "chunk-002.wav"]
    again = sources.discover(["far:rec/users/u1/eve/"])
    assert [(group.name, group.layout) for group in again] == [("eve", "live")]


def test_a_live_session_keeps_its_name_wherever_it_is_looked_for(bucket: Path, tone: bytes) -> None:
    put(bucket, tone, "users/u1/eve/chunk-000.wav")
    rows = add("far:rec/users").rows
    put(bucket, tone, "users/u1/eve/chunk-000.wav", "users/u1/eve/chunk-001.wav")
    again = add("far:rec/users/u1/eve", known=rows)
    assert [(row.session, row.part) for row in again.rows] == [("u1-eve", 0), ("u1-eve", 1)]


def test_recordings_of_one_name_are_named_by_their_folders_and_keep_their_names(
    bucket: Path, tone: bytes
) -> None:
    put(bucket, tone, "2026-01-05/audio.wav", "talk.wav")
    rows = add("far:rec").rows
    assert {row.session for row in rows} == {"audio", "talk"}
    put(bucket, tone, "2026-01-05/audio.wav", "talk.wav", "2026-01-12/audio.wav")
    again = add("far:rec", known=rows)
    assert again.problems == []
    assert {row.session: row.source for row in again.rows} == {
        "audio": "far:rec/2026-01-05/audio.wav",
        "talk": "far:rec/talk.wav",
        "2026-01-12-audio": "far:rec/2026-01-12/audio.wav",
    }


def test_a_remote_that_goes_while_recordings_are_looked_at_is_waited_for_once(
    bucket: Path, tone: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bucket, tone, *(f"{number}.wav" for number in range(30)))
    tries: list[str] = []

    def fail(self: ranges.Ranges, source: str, start: int, length: int) -> bytes:
        tries.append(source)
        raise OSError("dial tcp: connection refused")

    monkeypatch.setattr(ranges.Ranges, "_request", fail)
    monkeypatch.setattr(ranges, "WAITS_S", (0.1, 0.1))
    monkeypatch.setattr(probe, "REMOTE_AT_ONCE", 2)
    added = add("far:rec")
    assert len(tries) < 45
    assert {problem.what for problem in added.problems} == {"cannot be reached"}
    assert {row.duration_s for row in added.rows} == {0.0}


def test_patterns_are_rclones(bucket: Path, tone: bytes) -> None:
    put(bucket, tone, "a1.wav", "a2.wav", "b[1].wav", "deep/a3.wav")
    assert [group.name for group in sources.discover(["far:rec/a?.wav"])] == ["a1", "a2"]
    assert [group.name for group in sources.discover(["far:rec/**/a*.wav"])] == ["a3"]
    assert [group.name for group in sources.discover(["far:rec/b[1].wav"])] == ["b-1"]
    assert [group.name for group in sources.discover(["far:rec/a1.wav/"])] == ["a1"]
    for place in ("far:rec/../rec", "far:./rec/a1.wav"):
        with pytest.raises(UserError, match="Write the path without them"):
            sources.discover([place])
    for place in ("x:rec", "gs://bucket/rec", "https://host/folders/1A?usp=sharing"):
        with pytest.raises(UserError, match="elsewhere is `REMOTE:PATH`"):
            sources.discover([place])


def test_a_pattern_from_a_servers_root_is_looked_for_there(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(listing, "_has_twins", lambda *_: False)

    def find_nothing(folder: str, options: list[str]) -> list[listing.Item]:
        if not options[1:]:
            raise UserError("does not exist", where=folder, hint="")
        asked.append(folder)
        return []

    monkeypatch.setattr(listing, "_found", find_nothing)
    for pattern in ("nas:/*.wav", "nas:*.wav", "nas:/srv/*/a.wav"):
        with pytest.raises(UserError, match=rf"^{re.escape(pattern)}: does not exist, and matches no file"):
            listing.list_files(pattern)
    assert asked == ["nas:/", "nas:", "nas:/srv"]


@pytest.mark.parametrize("kind", ["s3", "sftp"])
def test_a_folder_whose_name_looks_like_a_pattern_is_a_folder(kind: str, tmp_path: Path, tone: bytes) -> None:
    put(tmp_path, tone, "rec/b[1]/b.wav", "rec/b[1]/deep/c.wav", "rec/b1/d.wav")
    with serving(kind, tmp_path):
        assert [group.name for group in sources.discover(["far:rec/b[1]"])] == ["b", "c"]
        assert [group.name for group in sources.discover(["far:rec/b[1]/*"])] == ["d"]


@pytest.mark.parametrize("kind", ["s3", *OTHERS])
def test_hostile_names_are_read_as_any_other(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "srv/rec").mkdir(parents=True)
    for name in HOSTILE:
        (tmp_path / "srv/rec" / name).write_bytes(name.encode())
    with serving(kind, tmp_path / "srv") as _, ranges.serve() as server:
        items = listing.list_files("far:rec")
        found = {server.read(item.source, 0, item.size).decode() for item in items}
        assert {listing.stat(item.source) for item in items} == set(items)
    assert found == set(HOSTILE)
    assert not Path("pwned").exists()
    # What rclone shows instead of a control character is what it reads under, and safe in the manifest.
    assert all(item.source.isprintable() for item in items)


def test_what_is_known_is_not_looked_at_again(
    bucket: Path, tone: bytes, requests: list[tuple[str, int, int]]
) -> None:
    put(bucket, tone, "a.wav", "eve/chunk-0.wav", "eve/chunk-1.wav")
    first = add("far:rec")
    assert {source for source, *_ in requests} == {row.source for row in first.rows}
    requests.clear()
    assert add("far:rec", known=first.rows).rows == first.rows
    put(bucket, tone, "copy/again.wav")  # the same bytes as a.wav
    assert add("far:rec/copy", known=first.rows).problems == []
    assert requests == []


def test_a_long_recording_is_looked_at_by_its_ends(
    bucket: Path, requests: list[tuple[str, int, int]], tmp_path: Path
) -> None:
    path = media.write_tone(bucket / "long.wav", 400.0)
    (row,) = add("far:rec").rows
    assert row.duration_s == pytest.approx(400)
    assert sum(length for *_, length in requests) < path.stat().st_size / 10


def test_a_remote_recording_reads_as_the_file_does(bucket: Path, tmp_path: Path) -> None:
    path = media.write_tone(bucket / "long.wav", 60.0)
    with ranges.serve() as server:
        recording = server.recording("far:rec/long.wav", path.stat().st_size)
        assert ingest.probe(recording) == ingest.probe(path)
        with recording.open("rb") as there, path.open("rb") as here:
            assert there.read() == here.read()
            for place, whence in ((-1000, os.SEEK_END), (44, os.SEEK_SET), (100_000, os.SEEK_CUR)):
                assert there.seek(place, whence) == here.seek(place, whence)
                assert there.read(70_000) == here.read(70_000)


def test_changed_moved_and_gone_recordings_are_told(bucket: Path, tone: bytes) -> None:
    put(bucket, tone, "talk.wav", "b.wav", "c.wav", "eve/chunk-0.wav", "eve/chunk-1.wav")
    rows = add("far:rec").rows
    (bucket / "talk.wav").rename(bucket / "interview.wav")
    media.write_tone(bucket / "b.wav", 0.3)
    (bucket / "eve/chunk-1.wav").unlink()
    again = add("far:rec", known=rows)
    assert sorted(again.news) == [
        "changed: far:rec/b.wav",
        "gone: far:rec/eve/chunk-1.wav",
        "moved: far:rec/talk.wav is now far:rec/interview.wav",
    ]
    kept = {row.session: row for row in again.rows if row.layout == "recording"}
    assert set(kept) == {"talk", "b", "c"}
    assert kept["talk"].source == "far:rec/interview.wav"
    assert kept["b"].duration_s == 0.3


def test_a_bad_recording_is_named_and_the_others_are_added(bucket: Path, tone: bytes) -> None:
    put(bucket, tone, "good.wav")
    (bucket / "bad.mp3").write_text("just words")
    added = add("far:rec")
    assert [(row.session, row.duration_s) for row in added.rows] == [("bad", 0.0), ("good", 0.1)]
    assert [problem.where for problem in added.problems] == ["far:rec/bad.mp3"]


def refused(source: str) -> str:
    with pytest.raises(UserError) as caught:
        sources.discover([source])
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{source}: ")
    return text


def test_what_cannot_be_read_is_said_in_one_line(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "there is no rclone remote of that name" in refused("nowhere:rec")
    assert "does not exist" in refused("far:no-such-bucket")
    assert "does not exist" in refused("far:rec/no-such-folder/a.wav")
    monkeypatch.setenv("RCLONE_CONFIG_FAR_SECRET_ACCESS_KEY", "wrong-secret")
    text = refused("far:rec")
    assert "access is refused" in text
    assert "wrong-secret" not in text


def test_secrets_are_never_arguments(bucket: Path, tone: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    put(bucket, tone, "a.wav")
    commands: list[list[str]] = []
    plain = rclone.started

    def started(*arguments: str, **more: int) -> object:
        commands.append(list(arguments))
        return plain(*arguments, **more)

    monkeypatch.setattr(rclone, "started", started)
    add("far:rec")
    assert len(commands) >= 2
    assert not any(secret in part for command in commands for part in command for secret in (KEY, SECRET))


def test_twelve_thousand_objects_are_listed_at_once(served: Server, tmp_path: Path) -> None:
    folder = served.folder / "many"
    first = folder / "users/u/000/chunk-000.webm"
    for session in range(50):
        (folder / f"users/u/{session:03}").mkdir(parents=True)
        first.touch()
        for part in range(session == 0, 240):
            (folder / f"users/u/{session:03}/chunk-{part:03}.webm").hardlink_to(first)
    groups = sources.discover(["far:many/users"])
    assert len(groups) == 50
    assert {len(group.files) for group in groups} == {240}
    shutil.rmtree(folder)


def test_what_was_renamed_on_a_remote_is_there_once(
    bucket: Path, tone: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"eve/chunk-{number}.wav" for number in range(1, 6)]
    put(bucket, tone, *names)
    rows = add("far:rec").rows
    for number in range(5, 0, -1):
        (bucket / f"eve/chunk-{number}.wav").rename(bucket / f"eve/chunk-{number + 5}.wav")
    listed: list[str] = []
    plain = listing.names
    monkeypatch.setattr(listing, "names", lambda f, **more: listed.append(f) or plain(f, **more))
    monkeypatch.setattr(listing, "stat", None)  # a request for every part would take minutes
    again = add("far:rec", known=rows)
    assert [(row.part, row.checksum) for row in again.rows] == [(row.part + 5, row.checksum) for row in rows]
    assert listed == ["far:rec/eve"]
    shutil.copy2(bucket / "eve/chunk-9.wav", bucket / "eve/chunk-11.wav")
    assert [row.part for row in add("far:rec", known=again.rows).rows] == [6, 7, 8, 9, 10, 11]


def test_a_remote_that_is_away_has_lost_nothing(bucket: Path, tone: bytes) -> None:
    put(bucket, tone, "eve/chunk-1.wav")
    (row,) = add("far:rec").rows
    there = Presence(())
    assert row.source in there
    assert "far:rec/eve/chunk-2.wav" not in there
    assert "far:rec/nowhere/chunk-1.wav" not in there
    assert "nowhere:rec/eve/chunk-1.wav" in there
