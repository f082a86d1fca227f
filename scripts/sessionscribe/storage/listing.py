"""What lies in a remote folder, with as few requests as the remote allows."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from sessionscribe.core.errors import UserError
from sessionscribe.storage import rclone
from sessionscribe.storage.locations import join, name_of, parent, rclone_path, split

HASHES = ("sha256", "md5", "sha1")
"""Checksums that Python can work out too, the best first. Others still tell one content from another."""
# One request per folder, many at once: at 100 ms a request that is far quicker than one long flat listing.
QUICK = ("--disable=ListR", "--checkers=64", "--use-server-modtime")
NO_HASH = frozenset(("", "ERROR", "UNSUPPORTED"))
"""What `rclone lsf` says of a file whose checksum the remote does not know."""
MEND = "Put that right on the remote (rename, remove, share), then add again"
DANGLING = "shortcut.dangling"
"""How the kind of a shortcut ends that leads to nothing, as rclone calls it."""
MAGIC = frozenset("*?[{")


class Item(NamedTuple):
    """A remote file: the source that names it, its size in bytes, what tells its content from another.

    ``modified`` is when it was written, in seconds since the epoch. ``fault`` is what keeps it from being
    read as a recording, as on Google Drive: "" for nothing.
    """

    source: str
    size: int
    checksum: str
    modified: float = 0.0
    fault: str = ""

    @property
    def path(self) -> PurePosixPath:
        """Its path on the remote."""
        return PurePosixPath(split(self.source)[1])

    @property
    def problem(self) -> UserError | None:
        """What is wrong with it."""
        return UserError(self.fault, where=self.source, hint=MEND) if self.fault else None


def list_files(source: str, *, s3_remote: str = "") -> list[Item]:
    """Return the files at a remote source: itself, all below a folder, or what a pattern of rclone's matches.

    Raises:
        UserError: there is nothing, or the remote cannot be read.
    """
    root, path = split(source)
    if _has_twins(source, s3_remote):
        _refuse_twin_folders(source, s3_remote)
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
    if entry and not entry["IsDir"] and _has_twins(source, s3_remote):
        name = "".join(f"\\{c}" if c in r"*?[]{}\\" else c for c in name_of(source))
        (item,) = _found(parent(source), [f"--include=/{name}"], s3_remote)
        return item
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
    try:
        return [name for (name,) in _lsf(folder, "p", ["--files-only"], s3_remote)]
    except rclone.RcloneError as error:
        if error.reason == "missing":
            return []
        raise


def _list(folder: str, filters: list[str], s3_remote: str) -> list[Item]:
    items = list(_found(folder, ["--recursive", *filters], s3_remote))
    if not items:
        hint = "Check the name; upper and lower case count"
        raise UserError("does not exist, or holds no file", where=folder, hint=hint)
    return items


def _found(folder: str, options: list[str], s3_remote: str) -> Iterator[Item]:
    """Yield the files in a remote folder."""
    above, best = join(folder, ""), _best_hash(folder, s3_remote)
    hashing, columns = ([f"--hash={best}"], "sth") if best else ([], "st")
    if _has_twins(folder, s3_remote):
        yield from _told_apart(_lsf(folder, f"{columns}mip", [*hashing, *options], s3_remote), above, best)
        return
    for size, changed, *digest, path in _lsf(
        folder, f"{columns}p", ["--files-only", *hashing, *options], s3_remote
    ):
        yield Item(above + path, int(size), _checksum(int(size), changed, digest, best), int(changed))


def _lsf(folder: str, columns: str, options: Sequence[str], s3_remote: str) -> Iterator[list[str]]:
    """Yield what `rclone lsf` says of what is in a folder; the path is last."""
    # Lines, not objects of JSON: of a quarter of a million files the latter cost seconds on both sides.
    form = ("--csv", "--time-format=unix", f"--format={columns}")
    place = rclone_path(folder, s3_remote=s3_remote)
    text = rclone.run("lsf", *QUICK, *form, *options, "--", place, where=folder, patience=rclone.HASTE)
    yield from csv.reader(io.StringIO(text.decode(errors="replace"), newline=""))


def _checksum(size: int, changed: str, digest: list[str], best: str) -> str:
    if digest and digest[0] not in NO_HASH:
        return digest[0] if best == "sha256" else f"{best}:{digest[0]}"
    return _by_time(size, int(changed))


def _told_apart(lines: Iterable[list[str]], above: str, best: str) -> Iterator[Item]:
    """Yield the files of a remote on which several may have one name; those with the same content are one.

    Raises:
        UserError: several folders have one name, of which rclone sees only one.
    """
    by_path: dict[str, list[list[str]]] = {}
    for line in lines:
        by_path.setdefault(line[-1], []).append(line)
    for path, twins in by_path.items():
        if path.endswith("/"):
            _refuse_twins(above + path, {line[-2] for line in twins})
            continue
        told: dict[str, tuple[Item, str]] = {}
        for size, changed, *digest, kind, made, _ in twins:
            checksum = _checksum(int(size), changed, digest, best)
            item = Item(above + path, int(size), checksum, int(changed), _fault(kind, int(size)))
            when = f"{datetime.fromtimestamp(int(changed), UTC):%Y-%m-%d %H:%M}"
            told.setdefault(checksum, (item, f"{size} bytes of {when}, id {made}"))
        items, which = zip(*told.values(), strict=True)
        several = f"is there {len(items)} times ({'; '.join(which)})" if len(items) > 1 else ""
        yield items[0]._replace(fault=several or items[0].fault)


def _fault(kind: str, size: int) -> str:
    if kind.endswith(DANGLING):
        return "is a shortcut to a file that is gone, or not shared with this login"
    return "is a Google document, not a recording" if size < 0 else ""


def _refuse_twin_folders(source: str, s3_remote: str) -> None:
    """Look whether a source and the folders that it is in are the only ones of their names.

    Raises:
        UserError: one is not.
    """
    root, path = split(source)
    parts = PurePosixPath(path.strip("/")).parts
    for number, name in enumerate(parts):
        if MAGIC.intersection(name):
            return
        above = join(root + "/".join(parts[:number]), "")
        ids = {made for made, found in _lsf(above, "ip", ["--dirs-only"], s3_remote) if found == f"{name}/"}
        _refuse_twins(above + name, ids)


def _refuse_twins(folder: str, ids: Collection[str]) -> None:
    if len(ids) > 1:
        what = f"is there {len(ids)} times, of which rclone sees only one ({', '.join(sorted(ids))})"
        raise UserError(
            what, where=folder.rstrip("/"), hint="Rename all but one of these folders, or merge them"
        )


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


def _has_twins(source: str, s3_remote: str) -> bool:
    """Return whether on a remote several files may have one name (Google Drive)."""
    return bool(_known(source, s3_remote)["Features"].get("DuplicateFiles"))


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
