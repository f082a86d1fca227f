"""Remotes of every kind that the docs name, served on loopback: published there, pulled from there."""

from __future__ import annotations

import getpass
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from botocore import auth

from published import Clone, isolate, made_up
from remotes import KEY, PATIENT, SECRET, serving
from sessionscribe.publish import unpack
from sessionscribe.publish.dvc_store import RemoteError, Store
from sessionscribe.storage import rclone
from sshd import Host, require_sshd

WRONG = "wrong-secret-of-somebody"


@dataclass(frozen=True)
class Far:
    """A DVC remote on a server; ``wrong`` makes its credentials wrong ones."""

    settings: Mapping[str, str]
    stop: Callable[[], None]
    start: Callable[[], None]
    local: Mapping[str, str]
    wrong: Mapping[str, str]


@pytest.fixture(autouse=True)
def dvc_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast_disk: None) -> None:
    isolate(tmp_path, monkeypatch)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


@pytest.fixture
def far(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Far]:
    folder = tmp_path / "served/versions"  # buckets and folders are there before
    folder.mkdir(parents=True)
    if request.param == "ssh":
        require_sshd()
        host = Host(tmp_path / "sshd", "far")
        with (tmp_path / "sshd/sshd_config").open("a") as settings:
            settings.write("Subsystem sftp internal-sftp\n")
        host.start()
        where = {"url": f"ssh://{getpass.getuser()}@127.0.0.1:{host.port}{folder}", "timeout": "20"}
        key = {"keyfile": str(tmp_path / "sshd/key")}
        yield Far(where, host.stop, host.start, key, {"keyfile": str(tmp_path / "sshd/host_key")})
        host.stop()
        return
    with serving(request.param, folder.parent, "far", PATIENT) as server:
        address, start = f"http://127.0.0.1:{server.port}", partial(server.start, PATIENT)
        if request.param == "s3":
            patience = {"connect_timeout": "10", "read_timeout": "30"}
            where = {"url": "s3://versions/dvc", "endpointurl": address, **patience}
            yield Far(where, server.kill, start, {}, {"secret_access_key": WRONG})
        else:
            where = {"url": f"webdav{address[4:]}/versions", "user": KEY}
            yield Far(where, server.kill, start, {"password": SECRET}, {"password": WRONG})


@pytest.fixture
def here(far: Far, tmp_path: Path) -> Clone:
    clone = made_up(tmp_path / "here", ["one"])
    core = "[core]\nremote = far\nanalytics = false\n"
    (clone.root / ".dvc/config").write_text(core + section(far.settings | {"verify": "true"}))
    clone.git("commit", "-qam", "Another remote")
    (clone.root / ".dvc/config.local").write_text(section(far.local))
    return clone


def section(settings: Mapping[str, str]) -> str:
    lines = [f"{key} = {value}" for key, value in settings.items()]
    return "\n".join(["['remote \"far\"']", *lines, ""])


@pytest.mark.parametrize("far", ["s3", "webdav", "ssh"], indirect=True)
def test_what_is_published_there_is_pulled_from_there(here: Clone, far: Far, tmp_path: Path) -> None:
    assert here.publish().word == "published"
    assert here.publish().word == "unchanged"
    clone = here.clone(tmp_path / "there")
    (clone.root / ".dvc/config.local").write_text(section(far.local))
    store = Store(clone.root)
    unpack.take(clone.root, store, "one")
    store.close()
    assert clone.todo() == Counter()
    kept = here.results()
    assert all(data == kept[name] for name, data in clone.results().items() if "convert_audio" not in name)


def test_a_folder_that_rclone_mirrors_serves_as_a_remote(tmp_path: Path) -> None:
    """As docs/versioning.md has it for Google Drive."""
    here = made_up(tmp_path / "anna/here", ["one"])
    (tmp_path / "served/versions").mkdir(parents=True)
    with serving("webdav", tmp_path / "served", "far", PATIENT):
        assert here.publish().word == "published"
        rclone.run("copy", str(tmp_path / "anna/remote"), "far:versions", where="far:")
        clone = here.clone(tmp_path / "ben/there")
        rclone.run("copy", "far:versions", str(tmp_path / "ben/remote"), where="far:")
    clone.pull("one")
    unpack.put_in_place(clone.root)
    assert clone.todo() == Counter()


@pytest.mark.parametrize("far", ["s3"], indirect=True)
def test_a_clock_that_is_wrong_is_named(here: Clone, far: Far, monkeypatch: pytest.MonkeyPatch) -> None:
    then = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=2)
    monkeypatch.setattr(auth, "get_current_datetime", lambda *_, **__: then)
    with pytest.raises(RemoteError, match=r"access is refused.* this machine's clock"):
        here.publish()


@pytest.mark.parametrize("far", ["s3"], indirect=True)
def test_a_server_that_is_away_is_named_and_the_next_time_it_goes_on(here: Clone, far: Far) -> None:
    far.stop()
    with pytest.raises(RemoteError, match="DVC remote far"):
        here.publish()
    assert here.git("status", "--porcelain", "-uall") == "?? results/publish/one.dvc\n"
    far.start()
    assert here.publish().word == "published"
    assert here.git("status", "--porcelain") == ""


@pytest.mark.parametrize("far", ["s3", "webdav"], indirect=True)
def test_wrong_credentials_are_refused_and_not_shown(here: Clone, far: Far) -> None:
    (here.root / ".dvc/config.local").write_text(section(far.wrong))
    with pytest.raises(RemoteError) as caught:
        here.publish()
    assert WRONG not in str(caught.value)
