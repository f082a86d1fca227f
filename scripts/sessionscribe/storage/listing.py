"""List remote folders with as few requests as possible."""

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
"""Checksums that Python can compute, too, best first. Others are still good for comparisons."""
# One request per folder, many in parallel: at 100 ms per request, much faster than one long flat listing.
QUICK = ("--disable=ListR", "--checkers=64", "--use-server-modtime")
NO_HASH = frozenset(("", "ERROR", "UNSUPPORTED"))
"""What `rclone lsf` prints for a file without a checksum."""
HINT = "Fix that on the remote (rename, remove, share), then add it again"
DANGLING = "shortcut.dangling"
"""The end of rclone's MIME type for a broken shortcut."""
MAGIC = frozenset("*?[{")
"""Characters that make a path a pattern, unless it exists."""
MISSING = "does not exist"


class Item(NamedTuple):
    """A remote file: its source, its size (bytes), and its checksum or a substitute.

    ``modified`` is its time in seconds since the epoch, ``fault`` why it cannot be a recording ("": it can).
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
        """The error for its fault."""
        return UserError(self.fault, where=self.source, hint=HINT) if self.fault else None


def list_files(source: str) -> list[Item]:
    """Return the files of a remote source: a file, all files below a folder, or the matches of a pattern.

    Raises:
        UserError: there are none, or the remote cannot be read.
    """
    root, path = split(source)
    if {".", ".."}.intersection(path.split("/")):
        raise UserError("has `.` or `..` in its path", where=source, hint="Write the path without them")
    path = path.rstrip("/") or path
    source = root + path
    if _has_twins(source):
        _refuse_twin_folders(source)
    try:
        items = _list(source)
    except UserError as error:
        if not MAGIC.intersection(path) or not error.what.startswith(MISSING):
            raise
        base, pattern = _split_pattern(path)
        if found := list(_found(f"{root}{base}", ["--recursive", f"--include=/{pattern}"])):
            return found
        what, hint = f"{MISSING}, and matches no file as a pattern", "Check the name or pattern"
        raise UserError(what, where=source, hint=hint) from None
    if len(items) == 1 and items[0].path == PurePosixPath(path) / PurePosixPath(path).name:
        # This may be a file, or a folder that contains a single file of the same name.
        item = stat(source)
        return items if item is None else [item]
    return items


def stat(source: str) -> Item | None:
    """Return the file that a remote source names; None if there is none.

    Raises:
        UserError: the remote cannot be read.
    """
    best = _best_hash(source)
    hashing = ["--hash", f"--hash-type={best}"] if best else []
    try:
        command = ("lsjson", "--stat", "--no-mimetype", *QUICK, *hashing, "--", rclone_path(source))
        entry = json.loads(rclone.run(*command, where=source, patience=rclone.HASTE) or b"null")
    except rclone.RcloneError as error:
        if error.reason == "missing":
            return None
        raise
    if entry is None or entry["IsDir"]:
        return None
    if _has_twins(source):
        name = "".join(f"\\{c}" if c in r"*?[]{}\\" else c for c in name_of(source))
        (item,) = _found(parent(source), [f"--include=/{name}"])
        return item
    size, digest = int(entry["Size"]), (entry.get("Hashes") or {}).get(best, "")
    modified = datetime.fromisoformat(entry["ModTime"]).timestamp()
    return Item(source, size, _checksum(size, modified, digest, best), modified)


def names(folder: str) -> list[str]:
    """Return the names of the files directly in a remote folder; none if it does not exist.

    Raises:
        UserError: the remote cannot be read.
    """
    try:
        return [name for (name,) in _lsf(folder, "p", ["--files-only"])]
    except rclone.RcloneError as error:
        if error.reason == "missing":
            return []
        raise


def _list(folder: str) -> list[Item]:
    items = list(_found(folder, ["--recursive"]))
    if not items:
        hint = "Check the name, which is case-sensitive"
        raise UserError(f"{MISSING}, or holds no file", where=folder, hint=hint)
    return items


def _found(folder: str, options: list[str]) -> Iterator[Item]:
    above, best = join(folder, ""), _best_hash(folder)
    hashing, columns = ([f"--hash={best}"], "sth") if best else ([], "st")
    if _has_twins(folder):
        yield from _distinct_files(_lsf(folder, f"{columns}mip", [*hashing, *options]), above, best)
        return
    for size, changed, *digest, path in _lsf(folder, f"{columns}p", ["--files-only", *hashing, *options]):
        checksum = _checksum(int(size), int(changed), "".join(digest), best)
        yield Item(above + path, int(size), checksum, int(changed))


def _lsf(folder: str, columns: str, options: Sequence[str]) -> Iterator[list[str]]:
    """Yield the columns that `rclone lsf` prints for a folder's content; the path is last."""
    # Not JSON: for a quarter of a million files, it costs seconds on both sides.
    form = ("--csv", "--time-format=unix", f"--format={columns}")
    place = rclone_path(folder)
    text = rclone.run("lsf", *QUICK, *form, *options, "--", place, where=folder, patience=rclone.HASTE)
    yield from csv.reader(io.StringIO(text.decode(errors="replace"), newline=""))


def _checksum(size: int, modified: float, digest: str, best: str) -> str:
    """Return a file's checksum, or a substitute if it has none."""
    if digest not in NO_HASH:
        return digest if best == "sha256" else f"{best}:{digest}"
    # In whole seconds: some remotes report fractions differently from call to call.
    return f"stat:{size}-{datetime.fromtimestamp(int(modified), UTC):%Y-%m-%dT%H:%M:%SZ}"


def _distinct_files(lines: Iterable[list[str]], above: str, best: str) -> Iterator[Item]:
    """Yield the files of a remote that allows duplicate names; files with the same name and content are one.

    Raises:
        UserError: several folders have the same name, of which rclone sees only one.
    """
    by_path: dict[str, list[list[str]]] = {}
    for line in lines:
        by_path.setdefault(line[-1], []).append(line)
    for path, twins in by_path.items():
        if path.endswith("/"):
            _refuse_twins(above + path, {line[-2] for line in twins})
            continue
        found: dict[str, tuple[Item, str]] = {}
        for size, changed, *digest, kind, made, _ in twins:
            checksum = _checksum(int(size), int(changed), "".join(digest), best)
            item = Item(above + path, int(size), checksum, int(changed), _fault(kind, int(size)))
            when = f"{datetime.fromtimestamp(int(changed), UTC):%Y-%m-%d %H:%M}"
            found.setdefault(checksum, (item, f"{size} bytes of {when}, id {made}"))
        items, which = zip(*found.values(), strict=True)
        several = f"exists {len(items)} times ({'; '.join(which)})" if len(items) > 1 else ""
        yield items[0]._replace(fault=several or items[0].fault)


def _fault(kind: str, size: int) -> str:
    if kind.endswith(DANGLING):
        return "is a shortcut to a file that is gone, or not shared with this login"
    return "is a Google document, not a recording" if size < 0 else ""


def _refuse_twin_folders(source: str) -> None:
    """Check that no folder above a source, nor the source itself, has a twin of the same name.

    Raises:
        UserError: one has.
    """
    root, path = split(source)
    parts = PurePosixPath(path.strip("/")).parts
    for number, name in enumerate(parts):
        if MAGIC.intersection(name):
            return
        above = join(root + "/".join(parts[:number]), "")
        ids = {made for made, found in _lsf(above, "ip", ["--dirs-only"]) if found == f"{name}/"}
        _refuse_twins(above + name, ids)


def _refuse_twins(folder: str, ids: Collection[str]) -> None:
    if len(ids) > 1:
        what = f"exists {len(ids)} times, of which rclone sees only one ({', '.join(sorted(ids))})"
        raise UserError(
            what, where=folder.rstrip("/"), hint="Rename all but one of these folders, or merge them"
        )


def _best_hash(source: str) -> str:
    """Return the best kind of checksum that a remote stores; "" if it stores none."""
    known = hashes(source)
    return next((name for name in (*HASHES, *known) if name in known), "")


def shows_half_files(source: str) -> bool:
    """Return whether a remote may show incomplete files under their final names, as WebDAV does."""
    able = _known(source)["Features"]
    return bool(able.get("Move")) and not (able.get("PartialUploads") or able.get("BucketBased"))


def _has_twins(source: str) -> bool:
    """Return whether a remote allows several files of the same name, as Google Drive does."""
    return bool(_known(source)["Features"].get("DuplicateFiles"))


def hashes(source: str) -> list[str]:
    """Return the kinds of checksums that a remote stores of its files."""
    known = _known(source)
    return [] if known["Features"].get("SlowHash") else known["Hashes"] or []


def _known(source: str) -> dict[str, Any]:
    """Return a remote's features, as rclone reports them, once per process."""
    remote = rclone_path(split(source)[0])
    with _features_lock:
        if remote not in _features:
            answer = rclone.run("backend", "features", "--", remote, where=source, patience=rclone.HASTE)
            _features[remote] = json.loads(answer)
        return _features[remote]


_features: dict[str, dict[str, Any]] = {}
_features_lock = threading.Lock()  # several places of a remote are listed in parallel


def _split_pattern(path: str) -> tuple[str, str]:
    """Split a path before its first component that is a pattern."""
    parts = path.split("/")
    first = next(number for number, part in enumerate(parts) if MAGIC.intersection(part))
    above = "/".join(parts[:first])
    return above or "/" * (first > 0), "/".join(parts[first:])


def by_folder(items: Sequence[Item]) -> dict[str, list[Item]]:
    """Return the files of one remote by the path of their folder."""
    folders: dict[str, list[Item]] = {}
    start = len(split(items[0].source)[0]) if items else 0
    for item in items:
        folders.setdefault(item.source[start:].rpartition("/")[0], []).append(item)
    return folders
