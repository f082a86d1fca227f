"""The lock, in a folder, on S3, on a remote: who records is heeded, and nobody takes another one's away."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import aws
from remotes import Server, serving
from sessionscribe.batch.lock_stores import S3Store
from sessionscribe.batch.locks import BatchLock
from sessionscribe.config import settings
from sessionscribe.core.errors import UserError

OLD = '{"locked": true, "userId": "old", "sessionId": "9", "timestamp": ""}'
PLACES = ("folder", "s3", "remote")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[aws.Cloud]:
    with aws.cloud(tmp_path_factory.mktemp("aws")) as cloud:
        cloud.client("s3").create_bucket(
            Bucket="recorder", CreateBucketConfiguration={"LocationConstraint": aws.REGION}
        )
        yield cloud


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving("webdav", tmp_path_factory.mktemp("far")) as made:
        yield made


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "folder":
        return str(tmp_path / "shared/batch-lock.json")
    known = request.getfixturevalue("cloud" if request.param == "s3" else "server")
    for name, value in known.environment.items():
        monkeypatch.setenv(name, value)
    folder = f"{tmp_path.name}-{request.param}"
    return (
        f"s3://recorder/{folder}/batch-lock.json"
        if request.param == "s3"
        else f"far:{folder}/batch-lock.json"
    )


def lock_at(place: str, minutes: float = 30) -> BatchLock:
    return BatchLock(settings.validate({"batch": {"lock": place, "lock_minutes": minutes}}).batch)


def test_two_recorders_have_locks_of_their_own(place: str) -> None:
    lock = lock_at(place)
    assert lock.status() == {"locked": False}
    assert abs(lock.check_access("check")) < 60
    assert lock._store.read() == []
    lock.lock("anna", "session/1 ü")
    lock.lock("ben", "../2")
    assert len(lock.held()) == 2
    newest = lock.status()
    assert newest.keys() == {"locked", "userId", "sessionId", "timestamp", "ageSeconds"}
    assert (newest["locked"], newest["userId"], newest["sessionId"]) == (True, "ben", "../2")
    assert -1 <= newest["ageSeconds"] < 60
    assert not lock.unlock("anna", "another session")
    assert lock.unlock("anna", "session/1 ü")
    assert [held.lock.user_id for held in lock.held()] == ["ben"]
    assert lock.unlock("ben")  # all that are his
    assert lock.status() == {"locked": False}


def test_who_knows_the_single_object_only_is_heeded_and_others_do_not_remove_it(tmp_path: Path) -> None:
    lock = lock_at(str(tmp_path / "batch-lock.json"))
    lock._store.write("batch-lock.json", OLD)
    lock.lock("anna", "1")
    assert lock.unlock("anna", "1")
    lock._store.write("batch-lock.json", OLD)
    assert not lock.unlock("anna", "1")
    assert lock.status()["userId"] == "old"
    lock._store.write("batch-lock.json", '{"locked": false}')
    assert lock.status() == {"locked": False}
    lock._store.write("batch-lock.json", "no JSON")
    assert lock.status()["locked"] is True, "somebody wanted to say something"


def test_an_end_leaves_the_others_lock_in_the_single_object(place: str) -> None:
    lock = lock_at(place)
    lock.lock("anna", "1")
    lock.lock("ben", "2")
    lock.lock("anna", "1")  # renewed: the newest one
    lock.unlock("anna", "1")
    (single,) = [one for one in lock._store.read() if one.name == "batch-lock.json"]
    assert json.loads(single.content)["sessionId"] == "2"


def test_what_was_not_renewed_is_stale_and_removed_and_what_was_renewed_meanwhile_stays(place: str) -> None:
    lock_at(place).lock("anna", "1")
    time.sleep(1.1)  # S3 knows whole seconds
    soon = lock_at(place, minutes=0.01)
    assert soon.held() == []
    (read,) = [one for one in soon._store.read() if one.name != "batch-lock.json"]
    soon.lock("anna", "1")
    if not place.startswith("far:"):  # a remote of rclone's may not tell two writings in a second apart
        soon._store.delete(read)
    assert lock_at(place).status()["locked"]
    time.sleep(1.1)
    assert {stale.lock.user_id for stale in soon.release_stale()} == {"anna"}
    assert lock_at(place)._store.read() == []


def test_age_is_by_the_clock_of_s3_not_by_ours(
    cloud: aws.Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    lock = lock_at(f"s3://recorder/{tmp_path.name}/batch-lock.json")
    lock.lock("anna", "1")
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert lock.status()["locked"]
    assert isinstance(lock._store, S3Store)


def test_a_lock_that_cannot_be_used_is_one_line(
    cloud: aws.Cloud, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for known in (cloud, server):
        for name, value in known.environment.items():
            monkeypatch.setenv(name, value)
    (tmp_path / "file").write_text("")
    places = [str(tmp_path / "file/batch-lock.json"), "s3://nowhere/batch-lock.json", "gone:batch-lock.json"]
    for place in [*places, "s3://recorder"]:
        with pytest.raises(UserError) as told:
            lock_at(place).held()
        assert "\n" not in str(told.value)
        assert aws.SECRET not in str(told.value)


def test_a_file_on_disk_is_stale_by_its_time(tmp_path: Path) -> None:
    lock = lock_at(str(tmp_path / "batch-lock.json"))
    lock.lock("anna", "1")
    for path in (tmp_path / "batch-lock.json", tmp_path / "batch-lock/1.json"):
        os.utime(path, (time.time() - 1799, time.time() - 1799))
    assert lock.held()
    for late_s in (1801, -1801):  # or written by a clock that was ahead
        os.utime(tmp_path / "batch-lock/1.json", (time.time() - late_s, time.time() - late_s))
        assert not lock.held()
    assert lock.release_stale()


def test_names_of_any_length_and_fields_without_a_value(tmp_path: Path) -> None:
    lock = lock_at(str(tmp_path / "batch-lock.json"))
    for session in ("запись " * 40, "запись " * 41):
        lock.lock("anna", session)
    assert len(list((tmp_path / "batch-lock").iterdir())) == 2
    assert lock.unlock("anna")
    for locked in (True, False):
        content = {"locked": locked, "userId": 7, "sessionId": None, "timestamp": None}
        (tmp_path / "batch-lock.json").write_text(json.dumps(content))
        assert lock.status()["locked"] is locked
