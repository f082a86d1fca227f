"""What lies in a remote folder, with as few requests as the remote allows."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from sessionscribe.core.errors import UserError
from sessionscribe.storage import rclone
from sessionscribe.storage.locations import join, rclone_path, split

HASHES = ("sha256", "md5", "sha1")
"""Checksums that Python can work out too, the best first. Others still tell one content from another."""
# One request per folder, many at once: at 100 ms a request that is far quicker than one long flat listing.
QUICK = ("--disable=ListR", "--checkers=64", "--use-server-modtime")
NO_HASH = frozenset(("", "ERROR", "UNSUPPORTED"))
"""What `rclone lsf` says of a file whose checksum the remote does not know."""
MAGIC = frozenset("*?[{")


class Item(NamedTuple):
    """A remote file: the source that names it, its size in bytes, what tells its content from another.

    ``modified`` is when it was written, in seconds since the epoch.
    """

    source: str
    size: int
    checksum: str
    modified: float = 0.0

    @property
    def path(self) -> PurePosixPath:
        """Its path on the remote."""
        return PurePosixPath(split(self.source)[1])


def list_files(source: str, *, s3_remote: str = "") -> list[Item]:
    """Return the files at a remote source: itself, all below a folder, or what a pattern of rclone's matches.

    Raises:
        UserError: there is nothing, or the remote cannot be read.
    """
    root, path = split(source)
    if MAGIC.intersection(path):
        entry = _entry(source, s3_remote)
        if entry is not None and entry["IsDir"]:  # S3 says so of every name
            try:
                return _list(source, [], s3_remote)
            except UserError as error:
                if not error.what.startswith("does not exist"):
                    raise
        if entry is None or entry["IsDir"]:
            base, pattern = _split_pattern(path)
            return _list(f"{root}{base}", [f"--include=/{pattern}"], s3_remote)
    items = _list(source, [], s3_remote)
    if len(items) == 1 and items[0].path == PurePosixPath(path) / PurePosixPath(path).name:
        # A file is listed as the only one of a folder; a folder may hold one of its own name.
        item = stat(source, s3_remote=s3_remote)
        return items if item is None else [item]
    return items


def stat(source: str, *, s3_remote: str = "") -> Item | None:
    """Return the file that a remote source names; None if there is none.

    Raises:
        UserError: the remote cannot be read.
    """
    entry = _entry(source, s3_remote)
    return None if entry is None or entry["IsDir"] else _item(source, entry, _best_hash(source, s3_remote))


def _entry(source: str, s3_remote: str) -> dict[str, Any] | None:
    """Return what rclone says of a file or folder; None if there is none."""
    place, best = rclone_path(source, s3_remote=s3_remote), _best_hash(source, s3_remote)
    hashing = ["--hash", f"--hash-type={best}"] if best else []
    try:
        command = ("lsjson", "--stat", "--no-mimetype", *QUICK, *hashing, "--", place)
        found = rclone.run(*command, where=source, patience=rclone.HASTE)
    except rclone.RcloneError as error:
        if error.reason == "missing":
            return None
        raise
    entry: dict[str, Any] | None = json.loads(found or b"null")
    return entry


def names(folder: str, *, s3_remote: str = "") -> list[str]:
    """Return the names of the files right in a remote folder; none where there is no such folder.

    Raises:
        UserError: the remote cannot be read.
    """
    options = ("--files-only", *QUICK, "--csv", "--format=p")
    try:
        place = rclone_path(folder, s3_remote=s3_remote)
        text = rclone.run("lsf", *options, "--", place, where=folder, patience=rclone.HASTE)
    except rclone.RcloneError as error:
        if error.reason == "missing":
            return []
        raise
    return [name for (name,) in csv.reader(io.StringIO(text.decode(errors="replace"), newline=""))]


def _list(folder: str, filters: list[str], s3_remote: str) -> list[Item]:
    place, best = rclone_path(folder, s3_remote=s3_remote), _best_hash(folder, s3_remote)
    # Lines, not objects of JSON: of a quarter of a million files the latter cost seconds on both sides.
    format_ = ["--csv", "--time-format=unix", "--format=sthp" if best else "--format=stp"]
    hashing = [f"--hash={best}"] if best else []
    options = ["--recursive", "--files-only", *QUICK, *format_, *hashing, *filters]
    text = rclone.run("lsf", *options, "--", place, where=folder, patience=rclone.HASTE)
    items = list(_items(text, join(folder, ""), best))
    if not items:
        hint = "Check the name; upper and lower case count"
        raise UserError("does not exist, or holds no file", where=folder, hint=hint)
    return items


def _items(text: bytes, above: str, best: str) -> Iterator[Item]:
    """Yield what `rclone lsf` lists: size, time, checksum if one is asked for, path."""
    prefix = "" if best == "sha256" else f"{best}:"
    lines = io.StringIO(text.decode(errors="replace"), newline="")
    for size, changed, *digest, path in csv.reader(lines):
        if digest and digest[0] not in NO_HASH:
            yield Item(above + path, int(size), prefix + digest[0], int(changed))
        else:
            yield Item(above + path, int(size), _by_time(int(size), int(changed)), int(changed))


def _by_time(size: int, changed: float) -> str:
    """Return what stands for the checksum of a file that has none."""
    # Whole seconds: some remotes know no parts of them, and say so differently from call to call.
    return f"stat:{size}-{datetime.fromtimestamp(int(changed), UTC):%Y-%m-%dT%H:%M:%SZ}"


def _item(source: str, entry: dict[str, Any], best: str) -> Item:
    size, digest = int(entry["Size"]), (entry.get("Hashes") or {}).get(best)
    modified = datetime.fromisoformat(entry["ModTime"]).timestamp()
    if digest:
        return Item(source, size, digest if best == "sha256" else f"{best}:{digest}", modified)
    return Item(source, size, _by_time(size, modified), modified)


def _best_hash(source: str, s3_remote: str) -> str:
    """Return the best checksum that a remote knows without reading files; "" if it knows none."""
    known = _hashes(source, s3_remote)
    return next((name for name in (*HASHES, *known) if name in known), "")


def knows_checksums(source: str, *, s3_remote: str = "") -> bool:
    """Return whether a remote knows the checksums of its files without reading them."""
    return bool(_hashes(source, s3_remote))


def shows_half_files(source: str, *, s3_remote: str = "") -> bool:
    """Return whether a remote may show a file under its name before all of it has arrived (WebDAV does)."""
    able = _known(source, s3_remote)["Features"]
    return bool(able.get("Move")) and not (able.get("PartialUploads") or able.get("BucketBased"))


def _hashes(source: str, s3_remote: str) -> list[str]:
    known = _known(source, s3_remote)
    return [] if known["Features"].get("SlowHash") else known["Hashes"] or []


def _known(source: str, s3_remote: str) -> dict[str, Any]:
    """Return what rclone knows of a remote; it is asked once."""
    remote = rclone_path(split(source)[0], s3_remote=s3_remote)
    with _asking:
        if remote not in _features:
            told = rclone.run("backend", "features", "--", remote, where=source, patience=rclone.HASTE)
            _features[remote] = json.loads(told)
        return _features[remote]


_features: dict[str, dict[str, Any]] = {}
_asking = threading.Lock()  # several places of one remote are looked at at once


def _split_pattern(path: str) -> tuple[str, str]:
    """Return the folder above the first part of a path that is a pattern, and the rest."""
    parts = path.split("/")
    first = next(number for number, part in enumerate(parts) if MAGIC.intersection(part))
    above = "/".join(parts[:first])
    return above or "/" * (first > 0), "/".join(parts[first:])


def by_folder(items: Sequence[Item]) -> dict[str, list[Item]]:
    """Sort files of one remote by the path of the folder that they are in."""
    folders: dict[str, list[Item]] = {}
    start = len(split(items[0].source)[0]) if items else 0
    for item in items:
        folders.setdefault(item.source[start:].rpartition("/")[0], []).append(item)
    return folders
