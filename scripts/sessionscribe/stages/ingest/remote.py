"""Remote recordings as jobs want them: as a copy that is kept for a while, or streamed."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import platformdirs

from sessionscribe.audio import media
from sessionscribe.audio.source import Source
from sessionscribe.config import settings
from sessionscribe.core.errors import UserError
from sessionscribe.storage import drive_desktop, listing, ranges, transfer
from sessionscribe.storage.cache import Cache
from sessionscribe.storage.locations import is_remote

Log = Callable[[str], None]


@dataclass(frozen=True)
class Copy:
    """The copy of a remote recording, by its own name."""

    source: str
    path: Path

    def __str__(self) -> str:
        return self.source

    def open(self, mode: Literal["rb"] = "rb") -> io.BufferedReader:
        """Open it for reading."""
        return self.path.open(mode)

    def stat(self) -> os.stat_result:
        """Return its size and kind."""
        return self.path.stat()


def local_path(source: str) -> Path | None:
    """Return the path of a source on this machine; None if it is a remote one.

    Raises:
        UserError: it is in a Google Drive folder, and there is none here.
    """
    if drive_desktop.is_drive_desktop(source):
        return drive_desktop.find(source)
    return None if is_remote(source) else Path(source)


def cache(options: settings.Cache) -> Cache:
    """Return the cache of recordings."""
    everybodys = platformdirs.user_cache_path("sessionscribe") / "recordings"
    folder = Path(options.folder) if options.folder else everybodys
    return Cache(folder, max_bytes=int(options.max_gb * 1e9), max_age_s=options.max_days * 86_400)


def check(source: str, checksum: str, options: settings.Ingest) -> listing.Item:
    """Return a remote recording as it is now.

    Raises:
        UserError: it is not there any more, or has another content than ``checksum``.
    """
    item = listing.stat(source, s3_remote=options.s3_remote)
    if item is None:
        hint = "Put the file back, or remove its row from the manifest; `sessionscribe find` looks for it"
        raise UserError("does not exist", where=source, hint=hint)
    if item.problem:
        raise item.problem
    if checksum and item.checksum != checksum:
        what = f"has changed since it was added ({item.checksum[:20]}…, not {checksum[:20]}…)"
        raise media.RecordingError(
            what, where=source, hint="Run `sessionscribe add` again for it, or put the old file back"
        )
    return item


@contextlib.contextmanager
def fetched(source: str, checksum: str, options: settings.Ingest, log: Log) -> Iterator[Source]:
    """Copy a remote recording into the cache, where that displaces nothing that is needed too; yield it.

    Where there is no room, or none is wanted, what is yielded reads the remote.

    Raises:
        UserError: it is not there, has another content than ``checksum``, or cannot be had.
    """
    item = check(source, checksum, options)
    if options.mode == "copy":
        kept = cache(options.cache)
        place = _place(kept, item)
        there = kept.prefetch(place, item.size, _fetcher(item, options, log))
        log(f"{source}: {'in the cache' if there else 'no room in the cache now'}")
        with kept.look(place, item.size) as there:
            if there:
                yield Copy(source, place)
                return
    with ranges.serve(s3_remote=options.s3_remote) as server:
        yield server.recording(source, item.size)


@contextlib.contextmanager
def opened(source: str, checksum: str, options: settings.Ingest, log: Log) -> Iterator[Source]:
    """Yield what a remote recording is read from: its copy in the cache (which stays meanwhile), or a stream.

    Raises:
        UserError: it is not there, has another content than ``checksum``, or cannot be had.
    """
    item = check(source, checksum, options)
    if options.mode == "copy":
        kept = cache(options.cache)
        place = _place(kept, item)
        _discard_if_damaged(kept, place, item, log)
        with kept.use(place, item.size, _fetcher(item, options, log)) as copy:
            if copy is not None:
                yield Copy(source, copy)
                return
        log(f"{source}: takes {item.size / 1e9:.1f} GB, more than the cache has room for: streamed")
    with ranges.serve(s3_remote=options.s3_remote) as server:
        yield server.recording(source, item.size)
    check(source, checksum, options)  # what was read was it all the time


def discard(
    sources: Iterable[tuple[str, str]], keep: Iterable[tuple[str, str]], options: settings.Ingest
) -> int:
    """Remove the copies of remote recordings, and what is too old; return how many of the former went.

    A copy that a job reads stays.

    Args:
        sources: the recordings, each as its source and checksum.
        keep: those among them, by name or content, that stay.
        options: where the copies are.
    """
    kept = cache(options.cache)
    kept.tidy()
    done, needed = (
        {_place(kept, listing.Item(source, 0, checksum)) for source, checksum in given}
        for given in (sources, keep)
    )
    return sum(kept.discard(place) for place in done - needed if place.exists())


def _place(kept: Cache, item: listing.Item) -> Path:
    # One content is kept once, wherever it lies. Size and time alone do not tell two contents apart.
    key = f"{item.source} {item.checksum}" if item.checksum.startswith("stat:") else item.checksum
    return kept.path(key, PurePosixPath(item.source).suffix)


def _fetcher(item: listing.Item, options: settings.Ingest, log: Log) -> Callable[[Path], None]:
    def fetch(target: Path) -> None:
        transfer.download(item.source, target, item.checksum, s3_remote=options.s3_remote, log=log)

    return fetch


def _discard_if_damaged(kept: Cache, place: Path, item: listing.Item, log: Log) -> None:
    if not place.exists():
        return
    try:
        transfer.verify(place, item.checksum, where=item.source)
    except UserError:
        log(f"{item.source}: its copy in the cache is damaged and is fetched again")
        kept.discard(place)
    except FileNotFoundError:
        pass  # removed just now
