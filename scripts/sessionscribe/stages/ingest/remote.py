"""Recordings as jobs read them: files, or remote ones as a copy that is kept for a while, or streamed."""

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
    """Yield what a recording is read from, wherever it lies, if it still has the content that was added.

    A remote one is read from its copy in the cache, which stays meanwhile, or streamed if there is no room
    for a copy or none is wanted.

    Args:
        source: as the manifest has it: a path, `remote:path`, `s3://bucket/key`, `drive-desktop:path`.
        checksum: of its content, as the manifest has it.
        options: how remote recordings are read.
        log: takes a line of text for the log.
        ahead: another job needs the copy soon: make one if that displaces nothing that is needed too.

    Raises:
        UserError: it is not there, cannot be read, or has changed.
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
        check(source, checksum, options)  # what was read was it all the time


@contextlib.contextmanager
def _copied(item: listing.Item, options: settings.Ingest, log: Log, *, ahead: bool) -> Iterator[Path | None]:
    """Yield the copy of a remote recording, fetched if need be; None if there is none."""

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
