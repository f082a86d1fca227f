"""What lies in a remote folder, with as few requests as the remote allows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from sessionscribe.errors import UserError
from sessionscribe.storage import rclone
from sessionscribe.storage.locations import join, rclone_path, split

HASHES = ("sha256", "md5", "sha1")
"""Checksums that Python can work out too, the best first. Others still tell one content from another."""
# One request per folder, many at once: at 100 ms a request that is far quicker than one long flat listing.
QUICK = ("--disable=ListR", "--checkers=64", "--use-server-modtime", "--no-mimetype")
MAGIC = frozenset("*?[{")


@dataclass(frozen=True)
class Item:
    """A remote file: the source that names it, its size in bytes, what tells its content from another."""

    source: str
    size: int
    checksum: str

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
    if MAGIC.intersection(path) and stat(source, s3_remote=s3_remote) is None:
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
    place = rclone_path(source, s3_remote=s3_remote)
    try:
        command = ("lsjson", "--stat", *QUICK, *_hashing(source, s3_remote), "--", place)
        found = rclone.run(*command, where=source, patience=rclone.HASTE)
    except rclone.RcloneError as error:
        if error.reason == "missing":
            return None
        raise
    entry: dict[str, Any] | None = json.loads(found or b"null")
    return None if entry is None or entry["IsDir"] else _item(source, entry)


def _list(folder: str, filters: list[str], s3_remote: str) -> list[Item]:
    place = rclone_path(folder, s3_remote=s3_remote)
    options = ["--recursive", "--files-only", *QUICK, *_hashing(folder, s3_remote), *filters]
    entries = json.loads(rclone.run("lsjson", *options, "--", place, where=folder, patience=rclone.HASTE))
    if not entries:
        hint = "Check the name; upper and lower case count"
        raise UserError("does not exist, or holds no file", where=folder, hint=hint)
    above = join(folder, "")
    return [_item(f"{above}{entry['Path']}", entry) for entry in entries]


def _item(source: str, entry: dict[str, Any]) -> Item:
    hashes: dict[str, str] = entry.get("Hashes") or {}
    size = int(entry["Size"])
    for name in (*HASHES, *sorted(hashes)):
        if hashes.get(name):
            return Item(source, size, hashes[name] if name == "sha256" else f"{name}:{hashes[name]}")
    # Whole seconds: some remotes know no parts of them, and say so differently from call to call.
    changed = datetime.fromisoformat(entry["ModTime"]).astimezone(UTC)
    return Item(source, size, f"stat:{size}-{changed:%Y-%m-%dT%H:%M:%SZ}")


def _hashing(source: str, s3_remote: str) -> list[str]:
    """Return the options that make a listing name checksums, where the remote knows them without reading."""
    known = _hashes(source, s3_remote)
    best = next((name for name in (*HASHES, *known) if name in known), None)
    return ["--hash", f"--hash-type={best}"] if best else []


def knows_checksums(source: str, *, s3_remote: str = "") -> bool:
    """Tell whether a remote knows the checksums of its files without reading them."""
    return bool(_hashes(source, s3_remote))


def _hashes(source: str, s3_remote: str) -> list[str]:
    remote = rclone_path(split(source)[0], s3_remote=s3_remote)
    if remote not in _features:
        told = rclone.run("backend", "features", "--", remote, where=source, patience=rclone.HASTE)
        _features[remote] = json.loads(told)
    known = _features[remote]
    return [] if known["Features"].get("SlowHash") else known["Hashes"] or []


_features: dict[str, dict[str, Any]] = {}


def _split_pattern(path: str) -> tuple[str, str]:
    """Return the folder above the first part of a path that is a pattern, and the rest."""
    parts = path.split("/")
    first = next(number for number, part in enumerate(parts) if MAGIC.intersection(part))
    return "/".join(parts[:first]), "/".join(parts[first:])


def by_folder(items: Sequence[Item]) -> dict[str, list[Item]]:
    """Sort files of one remote by the path of the folder that they are in."""
    folders: dict[str, list[Item]] = {}
    start = len(split(items[0].source)[0]) if items else 0
    for item in items:
        folders.setdefault(item.source[start:].rpartition("/")[0], []).append(item)
    return folders
