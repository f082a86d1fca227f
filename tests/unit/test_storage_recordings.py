"""Remote recordings as jobs get them: by a copy in the cache, or streamed; the same audio either way."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import media
from remotes import Server, serving
from sessionscribe.artifacts.recording import Ingest
from sessionscribe.config import settings
from sessionscribe.core import files
from sessionscribe.core.errors import UserError
from sessionscribe.stages.convert.convert import convert_audio
from sessionscribe.stages.ingest import ingest, remote
from sessionscribe.storage import listing

SOURCE = "far:rec/talk.wav"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    (tmp_path / "srv/rec").mkdir(parents=True)
    media.write_tone(tmp_path / "srv/rec/talk.wav", 20.0)
    monkeypatch.chdir(tmp_path)
    with serving("s3", tmp_path / "srv") as server:
        yield server


@pytest.fixture
def lines() -> list[str]:
    return []


def reading(mode: str = "copy", max_gb: float = 1) -> settings.Ingest:
    return settings.Ingest.model_validate({"mode": mode, "cache": {"folder": "cache", "max_gb": max_gb}})


def checksum() -> str:
    item = listing.stat(SOURCE)
    assert item is not None
    return item.checksum


def fetch(how: settings.Ingest, wanted: str, lines: list[str] | None = None) -> Ingest:
    return ingest.fetch_recording(
        session="talk",
        track="mix",
        source=SOURCE,
        checksum=wanted,
        duration_s=20.0,
        output=Path("ingest.json"),
        reading=how,
        log=(lines if lines is not None else []).append,
    )


def convert(how: settings.Ingest, record: Ingest, to: str, lines: list[str]) -> bytes:
    convert_audio(
        ingest=record,
        options=settings.Convert(),
        audio=Path(to),
        record=Path(f"{to}.json"),
        reading=how,
        log=lines.append,
    )
    return Path(to).read_bytes()


def copies() -> list[int]:
    return [copy.size for copy in remote.cache(reading().cache).copies()]


def test_a_copy_and_a_stream_give_the_same_audio_as_the_file(served: Server, lines: list[str]) -> None:
    path = served.folder / "rec/talk.wav"
    plain = Ingest.model_validate(
        fetch(reading(), checksum()).model_dump() | {"source": str(path), "checksum": files.sha256(path)}
    )
    convert_audio(ingest=plain, options=settings.Convert(), audio=Path("a.flac"), record=Path("a.json"))
    assert copies() == [path.stat().st_size]
    record = fetch(reading(), checksum())
    assert convert(reading(), record, "b.flac", lines) == Path("a.flac").read_bytes()
    assert remote.cache(reading().cache).counts().hits == 1  # fetched ahead, then used
    assert remote.cache(reading().cache).discard(remote.cache(reading().cache).copies()[0].path)
    assert (
        convert(reading("stream"), fetch(reading("stream"), checksum()), "c.flac", lines)
        == Path("a.flac").read_bytes()
    )
    assert copies() == []
    assert all("cache" not in str(value) for value in record.model_dump().values())


def test_a_recording_that_does_not_fit_is_streamed(served: Server, lines: list[str]) -> None:
    small = reading(max_gb=0.0001)
    record = fetch(small, checksum())
    assert convert(small, record, "a.flac", lines)
    assert copies() == []
    assert any("streamed" in line for line in lines)


def test_a_copy_that_rotted_is_fetched_again(served: Server, lines: list[str]) -> None:
    record = fetch(reading(), checksum())
    (copy,) = remote.cache(reading().cache).copies()
    good = copy.path.read_bytes()
    copy.path.write_bytes(good[:5000] + bytes([good[5000] ^ 1]) + good[5001:])
    convert(reading(), record, "a.flac", lines)
    assert copy.path.read_bytes() == good
    assert any("damaged and is fetched again" in line for line in lines)


def test_a_recording_that_changed_or_went_is_told(served: Server, lines: list[str]) -> None:
    record = fetch(reading(), checksum())
    path = served.folder / "rec/talk.wav"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"?")  # a bit that flipped at rest changes the checksum
    for attempt in (
        lambda: fetch(reading(), record.checksum),
        lambda: convert(reading(), record, "a", lines),
    ):
        with pytest.raises(UserError, match="has changed since it was added"):
            attempt()
    path.unlink()
    with pytest.raises(UserError, match="does not exist"):
        fetch(reading(), record.checksum)
    assert not Path("a").exists()


def test_a_recording_that_changes_while_it_is_streamed_is_not_taken(served: Server, lines: list[str]) -> None:
    record = fetch(reading("stream"), checksum())
    path = served.folder / "rec/talk.wav"
    with (
        pytest.raises(UserError, match="has changed since it was added"),
        remote.opened(SOURCE, record.checksum, reading("stream"), lines.append),
    ):
        path.write_bytes(path.read_bytes()[:-1] + b"?")


def test_a_stream_outlives_a_server_that_is_away_for_a_while(served: Server, lines: list[str]) -> None:
    path = media.write_tone(served.folder / "rec/talk.wav", 200.0)
    with remote.opened(SOURCE, checksum(), reading("stream"), lines.append) as source:
        file = source.open("rb")
        head = file.read(200_000)
        served.kill()

        def come_back() -> None:
            time.sleep(4)
            served.start()

        thread = threading.Thread(target=come_back)
        thread.start()
        assert head + file.read() == path.read_bytes()
        thread.join()


def test_the_cache_lies_where_this_users_caches_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert remote.cache(settings.Cache()).folder == tmp_path / "sessionscribe/recordings"


def test_files_of_this_machine_need_no_rclone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    path = media.write_tone(tmp_path / "talk.wav", 0.2)
    with remote.opened(str(path), files.sha256(path), reading()) as source:
        assert source == path
