"""Open recordings for jobs: local files, cached copies of remote ones, or streams."""

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
from sessionscribe.core import files
from sessionscribe.core.errors import UserError
from sessionscribe.storage import drive_desktop, listing, ranges, transfer
from sessionscribe.storage.cache import Cache
from sessionscribe.storage.locations import is_remote

Log = Callable[[str], None]


@dataclass(frozen=True)
class Copy:
    """The cached copy of a remote recording, which has the recording's name in messages."""

    source: str
    path: Path

    def __str__(self) -> str:
        return self.source

    def open(self, mode: Literal["rb"] = "rb") -> io.BufferedReader:
        """Open it for reading."""
        return self.path.open(mode)

    def stat(self) -> os.stat_result:
        """Return the status of the copy."""
        return self.path.stat()


def local_path(source: str) -> Path | None:
    """Return the path of a source on this machine, or None if it is remote.

    Raises:
        UserError: the source is in a Google Drive folder, and this machine has none.
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
    """Return the present state of a remote recording.

    Raises:
        UserError: the recording is missing, or its checksum is not ``checksum``.
    """
    item = listing.stat(source)
    if item is None:
        hint = "Put the file back, or remove its row from the manifest; `sessionscribe find` looks for it"
        raise UserError("does not exist", where=source, hint=hint)
    if item.problem:
        raise item.problem
    if checksum and item.checksum != checksum:
        raise _changed(source, f"{item.checksum[:20]}…", checksum[:20])
    return item


def _changed(where: object, found: str, wanted: str) -> media.RecordingError:
    what = f"has changed since it was added ({found}, not {wanted}…)"
    hint = "Run `sessionscribe add` again for it, or put the old file back"
    return media.RecordingError(what, where=where, hint=hint)


@contextlib.contextmanager
def opened(
    source: str, checksum: str, options: settings.Ingest, log: Log = print, *, ahead: bool = False
) -> Iterator[Source]:
    """Open a recording if it still has the content that was added.

    The source is a path, `remote:path`, `s3://bucket/key` or `drive-desktop:path`. A remote one is read from
    its copy in the cache, or streamed if there is no room or no copy is wanted. With `ahead`, it is only
    copied for a later job, if that displaces no copy that is needed.

    Raises:
        UserError: the recording is missing, unreadable, or has changed.
    """
    path = local_path(source)
    if path is not None:
        media.check_file(path)
        if checksum and (found := files.sha256(path)) != checksum:
            raise _changed(path, f"SHA-256 {found[:12]}…", checksum[:12])
        yield path
        return
    item = check(source, checksum, options)
    if options.mode == "copy":
        with _copied(item, options, log, ahead=ahead) as copy:
            if copy is not None:
                yield Copy(source, copy)
                return
    with ranges.serve() as server:
        yield server.recording(source, item.size)
    if not ahead:
        check(source, checksum, options)  # it has not changed while it was read


@contextlib.contextmanager
def _copied(item: listing.Item, options: settings.Ingest, log: Log, *, ahead: bool) -> Iterator[Path | None]:
    """Yield the cached copy of a remote recording, fetched if missing; None if there is no room."""

    def fetch(target: Path) -> None:
        transfer.download(item.source, target, item.checksum, log=log)

    kept = cache(options.cache)
    place = _place(kept, item)
    if not ahead:
        _discard_if_damaged(kept, place, item, log)
    with kept.use(place, item.size, fetch, ahead=ahead) as copy:
        if ahead:
            log(f"{item.source}: {'in the cache' if copy else 'no room in the cache now'}")
        elif copy is None:
            log(f"{item.source}: {item.size / 1e9:.1f} GB, more than the cache has room for: streamed")
        yield copy


def discard(
    sources: Iterable[tuple[str, str]], keep: Iterable[tuple[str, str]], options: settings.Ingest
) -> int:
    """Delete cached copies of recordings, and outdated ones; return how many of the former were deleted.

    Recordings are sources with checksums. Copies that a job reads, or of recordings to ``keep``, stay.
    """
    kept = cache(options.cache)
    kept.tidy()
    done, needed = (
        {_place(kept, listing.Item(source, 0, checksum)) for source, checksum in given}
        for given in (sources, keep)
    )
    return sum(kept.discard(place) for place in done - needed if place.exists())


def _place(kept: Cache, item: listing.Item) -> Path:
    # Equal content has one copy; without a real checksum, the source identifies it.
    key = f"{item.source} {item.checksum}" if item.checksum.startswith("stat:") else item.checksum
    return kept.path(key, PurePosixPath(item.source).suffix)


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
