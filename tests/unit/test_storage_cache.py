"""The cache of remote recordings: its limits, who keeps what, several processes, what killed ones leave."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionscribe.core.errors import UserError
from sessionscribe.storage.cache import Cache

DAY = 86_400.0


def fetcher(size: int, calls: list[Path] | None = None) -> Callable[[Path], None]:
    def fetch(path: Path) -> None:
        if calls is not None:
            calls.append(path)
        path.write_bytes(b"x" * size)

    return fetch


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", max_bytes=100, max_age_s=DAY)


def use(cache: Cache, key: str, size: int = 30, *, ahead: bool = False) -> bool:
    """Use a recording; return whether it fitted in."""
    with cache.use(cache.path(key, ".wav"), size, fetcher(size), ahead=ahead) as copy:
        assert copy is None or copy.stat().st_size == size
        return copy is not None


def kept(cache: Cache, *keys: str) -> list[str]:
    return [key for key in keys if cache.path(key, ".wav").exists()]


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_a_copy_is_fetched_once_and_counted(cache: Cache) -> None:
    calls: list[Path] = []
    path = cache.path("a", ".wav")
    for _ in range(3):
        with cache.use(path, 30, fetcher(30, calls)) as copy:
            assert copy == path
    assert len(calls) == 1
    counts = cache.counts()
    assert (counts.hits, counts.misses) == (2, 1)
    assert counts.hit_rate == pytest.approx(2 / 3)


def test_the_longest_unused_goes_first(cache: Cache) -> None:
    for number, key in enumerate("abc"):
        use(cache, key)
        age(cache.path(key, ".wav"), 100 - number)
    use(cache, "a")
    use(cache, "d")
    assert kept(cache, *"abcd") == ["a", "c", "d"]


def test_it_never_grows_beyond_its_limit(cache: Cache) -> None:
    for number in range(50):
        assert use(cache, str(number % 7), 10 + number % 7 * 10)
        assert sum(copy.size for copy in cache.copies()) <= 100


def test_what_is_in_use_stays_and_what_does_not_fit_is_not_fetched(cache: Cache) -> None:
    calls: list[Path] = []
    with cache.use(cache.path("a", ".wav"), 60, fetcher(60)):
        with cache.use(cache.path("b", ".wav"), 60, fetcher(60, calls)) as copy:
            assert copy is None
        assert use(cache, "c", 40)
        assert kept(cache, *"abc") == ["a", "c"]
    assert calls == []
    assert use(cache, "b", 60)
    assert not use(cache, "huge", 101)
    assert kept(cache, *"abc") == ["b", "c"]


def test_what_nobody_used_for_long_goes(cache: Cache) -> None:
    use(cache, "a")
    use(cache, "b")
    age(cache.path("a", ".wav"), 2 * DAY)
    cache.tidy()
    assert kept(cache, *"ab") == ["b"]


def test_fetching_ahead_displaces_nothing_that_waits_too(cache: Cache) -> None:
    use(cache, "old", 40)
    assert use(cache, "a", 40, ahead=True)
    assert use(cache, "b", 40, ahead=True)
    assert kept(cache, "old", *"ab") == ["a", "b"]
    assert not use(cache, "c", 40, ahead=True)
    assert cache.counts().hits == 0
    use(cache, "a", 40)
    assert cache.counts().hits == 1
    assert use(cache, "c", 40, ahead=True)
    assert kept(cache, *"abc") == ["b", "c"]
    assert use(cache, "now", 90)  # a job that runs comes before one that will


def test_a_copy_can_be_discarded_unless_it_is_in_use(cache: Cache) -> None:
    path = cache.path("a", ".wav")
    with cache.use(path, 30, fetcher(30)):
        assert not cache.discard(path)
    assert cache.discard(path)
    assert cache.discard(path)
    assert cache.copies() == []


def test_what_else_lies_in_the_folder_is_not_touched(cache: Cache) -> None:
    (cache.folder / "holidays").mkdir(parents=True)
    mine = cache.folder / "film.wav"
    mine.write_bytes(b"x" * 90)
    age(mine, 100 * DAY)
    assert use(cache, "a", 100)
    cache.tidy()
    assert mine.exists()
    assert [copy.size for copy in cache.copies()] == [100]


def test_a_failed_transfer_leaves_nothing(cache: Cache) -> None:
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("cut")

    with pytest.raises(OSError, match="cut"), cache.use(cache.path("a"), 90, fail):
        pass
    assert [path.name for path in cache.folder.iterdir() if path.name not in (".lock", ".misses")] == []
    assert use(cache, "b", 100)


def test_a_copy_of_another_size_is_fetched_again(cache: Cache) -> None:
    use(cache, "a")
    cache.path("a", ".wav").write_bytes(b"cut")
    assert use(cache, "a")
    assert cache.path("a", ".wav").stat().st_size == 30


CHILD = """
import os, random, sys, time
from pathlib import Path
from sessionscribe.storage.cache import Cache
folder, seed, hang = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
cache = Cache(folder, max_bytes=100, max_age_s=1e9)
draw = random.Random(seed)
def fetch(path):
    with (folder.parent / "fetched").open("a") as log: log.write(path.name + "\\n")
    path.write_bytes(b"x" * 30)
    if hang:
        print("fetching", flush=True)
        time.sleep(60)
for _ in range(1 if hang else 40):
    path = cache.path(str(draw.randrange(6)))
    with cache.use(path, 30, fetch) as copy:
        assert copy is None or len(copy.read_bytes()) == 30
        with cache._guarded():  # others bring and remove copies all the time
            total = sum(copy.size for copy in cache.copies())
        assert total <= 100, total
"""


def child(cache: Cache, seed: int, hang: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(cache.folder), str(seed), hang]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_several_processes_share_it(cache: Cache) -> None:
    children = [child(cache, seed) for seed in range(3)]
    assert [process.wait(120) for process in children] == [0, 0, 0]
    counts = cache.counts()
    assert counts.hits + counts.misses == 120
    assert counts.hits > 20


def test_one_transfer_serves_all_who_want_it(cache: Cache) -> None:
    calls: list[Path] = []
    go = threading.Barrier(4)

    def slowly(path: Path) -> None:
        calls.append(path)
        time.sleep(0.2)
        path.write_bytes(b"x" * 30)

    def want() -> None:
        go.wait()
        with cache.use(cache.path("a"), 30, slowly) as copy:
            assert copy is not None

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_what_a_killed_process_held_is_free_at_once(cache: Cache) -> None:
    process = child(cache, 0, "hang")
    assert process.stdout is not None
    assert process.stdout.readline() == "fetching\n"
    assert not use(cache, "b", 100)  # the room is taken
    process.kill()
    process.wait()
    assert use(cache, "b", 100)
    assert [path.name for path in cache.folder.iterdir() if path.name.startswith(".incoming")] == []


def test_on_a_file_system_without_locks_the_folder_is_named(cache: Cache, no_locks: None) -> None:
    with pytest.raises(UserError, match="has no file locks") as error:
        use(cache, "a")
    assert str(cache.folder) in str(error.value)
    assert "ingest.cache.folder" in str(error.value)
    cache.tidy()  # as at the end of a run, which may have needed no copies


def test_what_is_locked_for_oneself_is_open_for_writing(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On NFS such a lock is refused otherwise."""
    lock = fcntl.flock

    def as_nfs_does(file: Any, how: int) -> None:
        number = file if isinstance(file, int) else file.fileno()
        if how & fcntl.LOCK_EX and fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", as_nfs_does)
    use(cache, "old", 60)
    assert use(cache, "new", 60)
    assert kept(cache, "old", "new") == ["new"]
    (cache.folder / ".incoming-killed").write_text("60")
    cache.tidy()
    assert not (cache.folder / ".incoming-killed").exists()
