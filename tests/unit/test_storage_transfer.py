"""Copies of remote files: whole, verified, or not there; whatever dies on the way."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import small_disks
from remotes import OTHERS, PATIENT, Server, flipping, serving
from sessionscribe.core.errors import UserError
from sessionscribe.storage import listing, rclone, transfer

SLOW = ("--bwlimit=2M",)
"""A server that takes four seconds for the recording."""


@pytest.fixture(scope="module")
def content() -> bytes:
    return os.urandom(1 << 20) * 8


@pytest.fixture
def slow(tmp_path: Path, content: bytes) -> Iterator[Server]:
    """A slow server with the recording `rec/talk.wav`."""
    (tmp_path / "srv/rec").mkdir(parents=True)
    (tmp_path / "srv/rec/talk.wav").write_bytes(content)
    with serving("s3", tmp_path / "srv", "far", *SLOW) as server:
        yield server


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def wait_for_bytes(folder: Path) -> None:
    """Wait until a transfer into a folder is under way."""
    until = time.monotonic() + 60
    while True:
        with contextlib.suppress(FileNotFoundError):  # gone while it was looked at
            if any(path.stat().st_blocks for path in folder.rglob("*") if path.is_file()):
                return
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("kind", ["s3", *OTHERS])
def test_a_file_arrives_as_it_is(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if variables that the user has set for other uses of rclone say otherwise."""
    (tmp_path / "srv/rec").mkdir(parents=True)
    (tmp_path / "srv/rec/a b.wav").write_bytes(b"sound")
    with serving(kind, tmp_path / "srv"):
        for option in ("VERBOSE=2", "PROGRESS=true", "DRY_RUN=true", "EXCLUDE=*.wav", "MAX_SIZE=1"):
            monkeypatch.setenv(*f"RCLONE_{option}".split("="))
        item = listing.stat("far:rec/a b.wav")
        assert item is not None
        transfer.download(item.source, tmp_path / "here.wav", item.checksum)
    assert (tmp_path / "here.wav").read_bytes() == b"sound"


def test_progress_has_rate_and_time_left(slow: Server, tmp_path: Path) -> None:
    told: list[rclone.Progress] = []
    target = tmp_path / "talk.wav"
    rclone.run("copyto", "far:rec/talk.wav", str(target), where="far:", on_progress=told.append)
    assert any(0 < step.done < step.total for step in told)
    assert told[-1].total == target.stat().st_size
    assert any(step.eta_s is not None and step.rate > 0 for step in told)
    assert "MB/s" in str(told[-1])


def test_another_content_than_was_added_is_refused_and_not_kept(slow: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has changed since it was added"):
        transfer.download("far:rec/talk.wav", tmp_path / "to/talk.wav", f"md5:{'0' * 32}")
    assert left(tmp_path / "to") == []


def test_a_bit_that_flipped_on_the_way_is_seen_and_nothing_is_kept(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "srv/rec").mkdir(parents=True)
    (tmp_path / "srv/rec/talk.wav").write_bytes(content)
    checksum = f"md5:{hashlib.md5(content).hexdigest()}"
    monkeypatch.setattr(rclone, "PATIENCE", ("--retries=1", "--multi-thread-streams=0"))
    with serving("s3", tmp_path / "srv") as server:
        with flipping(server, 1 << 20), pytest.raises(UserError, match="arrived damaged and was discarded"):
            transfer.download("far:rec/talk.wav", tmp_path / "to/talk.wav", checksum)
        assert left(tmp_path / "to") == []
        transfer.download("far:rec/talk.wav", tmp_path / "to/talk.wav", checksum)


def test_a_server_that_comes_back_is_waited_for(slow: Server, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "to").mkdir()

    def die_and_come_back() -> None:
        wait_for_bytes(tmp_path / "to")
        slow.kill()
        time.sleep(4)
        slow.start(*SLOW)

    thread = threading.Thread(target=die_and_come_back)
    thread.start()
    checksum = f"md5:{hashlib.md5(content).hexdigest()}"
    transfer.download("far:rec/talk.wav", tmp_path / "to/talk.wav", checksum)
    thread.join()
    assert left(tmp_path / "to") == ["talk.wav"]


def test_a_server_that_stays_away_is_given_up_and_nothing_is_left(
    slow: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "to").mkdir()
    thread = threading.Thread(target=lambda: (wait_for_bytes(tmp_path / "to"), slow.kill()))
    thread.start()
    monkeypatch.setattr(rclone, "PATIENCE", ("--retries=2", "--retries-sleep=0.1s", "--low-level-retries=2"))
    with pytest.raises(UserError) as caught:
        transfer.download("far:rec/talk.wav", tmp_path / "to/talk.wav", "md5:0")
    thread.join()
    assert "cannot be reached" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert left(tmp_path / "to") == []


def test_a_call_with_a_limit_ends_within_it(slow: Server, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(rclone.RcloneError, match="far: cannot be reached") as caught:
        rclone.run("copyto", "far:rec/talk.wav", str(tmp_path / "talk.wav"), where="far", limit_s=1.0)
    assert time.monotonic() - began < 10
    assert caught.value.reason == "unreachable"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_transfer_leaves_no_half_file_and_no_process(
    slow: Server, tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "to").mkdir()
    code = "import sys, pathlib; from sessionscribe.storage.transfer import download as d; "
    code += "d('far:rec/talk.wav', pathlib.Path(sys.argv[1]), 'md5:0')"
    target = tmp_path / "to/talk.wav"
    child = subprocess.Popen([sys.executable, "-c", code, str(target)], stderr=subprocess.DEVNULL)
    wait_for_bytes(tmp_path / "to")
    child.send_signal(number)
    child.wait(30)
    until = time.monotonic() + 20
    while str(target).encode() in b"".join(commands()):
        assert time.monotonic() < until, "rclone lives on"
        time.sleep(0.05)
    assert not target.exists()


@pytest.mark.parametrize("kind", ["s3", *OTHERS])
def test_a_killed_upload_leaves_no_half_file_and_the_next_one_finishes_it(
    kind: str, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "srv/out"
    there.mkdir(parents=True)
    (tmp_path / "made").mkdir()
    made = tmp_path / "made/talk.m4a"
    made.write_bytes(content)
    code = "import sys, pathlib; from sessionscribe.storage.transfer import upload; "
    code += "made = pathlib.Path(sys.argv[1]); upload([made], made.parent, 'far:out')"
    with serving(kind, tmp_path / "srv"):
        monkeypatch.setenv("RCLONE_BWLIMIT", "2M")
        child = subprocess.Popen([sys.executable, "-c", code, str(made)], stderr=subprocess.DEVNULL)
        wait_for_bytes(there)
        child.kill()
        child.wait()
        assert "talk.m4a" not in rclone.run("lsf", "far:out", where="far:").decode().split()
        monkeypatch.delenv("RCLONE_BWLIMIT")
        transfer.upload([made], made.parent, "far:out")
        listed = rclone.run("lsf", "--recursive", "far:out", where="far:").decode().split()
        assert [name for name in listed if not name.endswith(".partial")] == ["talk.m4a"]
        assert rclone.run("cat", "far:out/talk.m4a", where="far:") == content


def commands() -> Iterator[bytes]:
    """Yield the command lines of all processes."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes().replace(b"\0", b" ")
        except OSError:
            continue


def test_an_upload_sends_what_is_new_and_deletes_nothing(tmp_path: Path) -> None:
    (tmp_path / "srv/out/old").mkdir(parents=True)
    (tmp_path / "srv/out/old/theirs.txt").write_text("theirs")
    made = tmp_path / "made"
    for name in ("s1/$(touch pwned).txt", "s1/#b;c.txt", "s2/x.txt", "s2/not-this.txt"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(name)
    wanted = [path for path in made.rglob("*.txt") if path.name != "not-this.txt"]
    with serving("s3", tmp_path / "srv", "far", PATIENT):
        transfer.upload(wanted, made, "far:out/results")
        times = {path: path.stat().st_mtime_ns for path in (tmp_path / "srv/out").rglob("*.txt")}
        (made / "s2/x.txt").write_text("changed")
        transfer.upload(wanted, made, "far:out/results")
    there = tmp_path / "srv/out"
    assert left(there) == ["#b;c.txt", "$(touch pwned).txt", "theirs.txt", "x.txt"]
    assert (there / "results/s2/x.txt").read_text() == "changed"
    again = {path for path in times if path.stat().st_mtime_ns != times[path]}
    assert again == {there / "results/s2/x.txt"}


@pytest.mark.parametrize("kind", ["webdav", pytest.param("sftp", marks=pytest.mark.slow)])
def test_a_change_is_sent_to_a_remote_without_checksums_too(kind: str, tmp_path: Path) -> None:
    made, there = tmp_path / "made", tmp_path / "srv/out"
    made.mkdir()
    there.mkdir(parents=True)
    one, two = made / "one.txt", made / "two.txt"
    one.write_text("first")
    two.write_text("first")
    with serving(kind, tmp_path / "srv"):
        transfer.upload([one, two], made, "far:out")
        before = (there / "one.txt").stat().st_mtime_ns, (there / "one.txt").stat().st_ino
        one.touch()
        two.write_text("other")  # as long as before
        transfer.upload([one, two], made, "far:out", sent_before=[one])
        # What the server has answered for it may still have in hand: it is asked, not its disk.
        assert rclone.run("cat", "far:out/two.txt", where="far:") == b"other"
    assert ((there / "one.txt").stat().st_mtime_ns, (there / "one.txt").stat().st_ino) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    with small_disks.mounted(tmp_path / "disk", "size=2m") as folder:
        yield folder


def test_a_full_disk_there_or_here_is_named_and_nothing_half_is_left(
    small_disk: Path, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rclone, "PATIENCE", ("--retries=1", "--low-level-retries=1"))
    (tmp_path / "made").mkdir()
    # A little too large: with more than 256 KB unread, rclone's server hangs up, and its answer may be lost.
    (tmp_path / "made/talk.m4a").write_bytes(content[:2_200_000])
    with pytest.raises(UserError, match="no space left there"):
        transfer.upload([tmp_path / "made/talk.m4a"], tmp_path / "made", str(small_disk))
    assert left(small_disk) == []
    with serving("s3", small_disk):  # says no more than that it failed
        (small_disk / "out").mkdir()
        with pytest.raises(UserError, match=r"its disk may be full|cannot be reached"):  # or hangs up
            transfer.upload([tmp_path / "made/talk.m4a"], tmp_path / "made", "far:out")
    assert left(small_disk) == []
    with serving("s3", tmp_path), pytest.raises(OSError, match=r"No space left on device: .*/copies"):
        transfer.download("far:made/talk.m4a", small_disk / "copies/talk.m4a", "md5:0")
    assert left(small_disk) == []
