"""Where a lock's objects are: a folder, an S3 bucket, or another rclone remote.

An object's name is relative to the folder of the lock's file: ``batch-lock.json`` and
``batch-lock/SESSION.json``. Whatever fails in a store is a ``UserError``.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from sessionscribe.core.errors import UserError
from sessionscribe.core.files import write_text
from sessionscribe.manifest.manifest import locked
from sessionscribe.storage import rclone
from sessionscribe.storage.locations import S3, is_remote, join, name_of, parent, rclone_path


@dataclass(frozen=True)
class Object:
    """An object: its content, its age (s) by the store's clock, and a version that each write changes."""

    name: str
    content: bytes
    age_s: float
    version: str


def store_of(place: str, root: Path) -> tuple[Store, str]:
    """Return the store for ``batch.lock`` (paths are relative to ``root``), and the lock's file name."""
    match = S3.fullmatch(place)
    if match:
        bucket, _, key = match["path"].partition("/")
        if not key:
            hint = "Write s3://BUCKET/batch-lock.json"
            raise UserError("names no object", where=f"batch.lock: {place}", hint=hint)
        return S3Store(place, bucket, key), name_of(place)
    if is_remote(place):
        return RcloneStore(place), name_of(place)
    path = root / Path(place).expanduser()
    return FolderStore(path), path.name


class FolderStore:
    """A folder on this machine, or one that is mounted here."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> list[Object]:
        """Return all objects."""
        with self._errors():
            paths = [self._file, *sorted(self._file.with_suffix("").glob("*.json"))]
            return [found for path in paths if (found := self._object(path))]

    def _object(self, path: Path) -> Object | None:
        try:
            with path.open("rb") as file:
                content, about = file.read(), path.stat()
        except FileNotFoundError:
            return None
        name = path.relative_to(self._file.parent).as_posix()
        return Object(name, content, time.time() - about.st_mtime, f"{about.st_mtime_ns}-{about.st_ino}")

    def write(self, name: str, content: str) -> None:
        """Write an object."""
        with self._errors(), locked(self._file):
            write_text(self._file.parent / name, content)

    def delete(self, given: Object) -> None:
        """Delete an object unless it was written again after it was read."""
        path = self._file.parent / given.name
        with self._errors(), locked(self._file):
            now = self._object(path)
            if now and now.version == given.version:
                path.unlink()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _unusable(error.strerror or str(error), error.filename or self._file.parent) from error


class S3Store:
    """A bucket, reached with AWS's own variables and files; deletions are conditional (``If-Match``)."""

    def __init__(self, place: str, bucket: str, key: str) -> None:
        self._place, self._bucket, self._key = place, bucket, key
        self._prefix = key.removesuffix(name_of(place))

    @cached_property
    def _client(self) -> Any:
        from botocore.config import Config  # noqa: PLC0415 -- other stores do not need it
        from botocore.session import Session  # noqa: PLC0415

        patience = Config(connect_timeout=10, read_timeout=20, retries={"mode": "standard"})
        return Session().create_client("s3", config=patience)

    def read(self) -> list[Object]:
        """Return all objects."""
        folder = f"{self._prefix}{PurePosixPath(self._key).stem}"
        with self._errors():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=folder)
            keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
            wanted = [key for key in keys if key == self._key or key.startswith(f"{folder}/")]
            return [found for key in wanted if (found := self._object(key))]

    def _object(self, key: str) -> Object | None:
        try:
            got = self._client.get_object(Bucket=self._bucket, Key=key)
        except self._client.exceptions.NoSuchKey:
            return None
        now = parsedate_to_datetime(got["ResponseMetadata"]["HTTPHeaders"]["date"])
        age_s = (now - got["LastModified"]).total_seconds()
        return Object(key.removeprefix(self._prefix), got["Body"].read(), age_s, got["ETag"])

    def write(self, name: str, content: str) -> None:
        """Write an object."""
        where = {"Bucket": self._bucket, "Key": self._prefix + name}
        with self._errors():
            self._client.put_object(**where, Body=content.encode(), ContentType="application/json")

    def delete(self, given: Object) -> None:
        """Delete an object unless it was written again after it was read."""
        which = {"Bucket": self._bucket, "Key": self._prefix + given.name}
        with self._errors():
            try:
                self._client.delete_object(**which, IfMatch=given.version)
            except self._client.exceptions.ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "NotImplemented":  # a server without conditional requests
                    self._client.delete_object(**which)
                elif code not in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412"):
                    raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise _unusable(" ".join(str(error).split())[:200], self._place) from error


class RcloneStore:
    """A folder on a remote: the last of two writers wins, and ages are by this machine's clock."""

    def __init__(self, place: str) -> None:
        self._folder, self._file = parent(place), name_of(place)

    def read(self) -> list[Object]:
        """Return all objects."""
        chosen = (f"--include=/{self._file}", f"--include=/{PurePosixPath(self._file).stem}/*.json")
        options = ("--recursive", "--files-only", "--no-mimetype", "--use-server-modtime")
        found = self._run("lsjson", *options, *chosen, "--", self._path(""))
        return [one for entry in json.loads(found or b"[]") if (one := self._object(entry))]

    def _object(self, entry: dict[str, Any]) -> Object | None:
        content = self._run("cat", "--", self._path(entry["Path"]))
        age_s = time.time() - datetime.fromisoformat(entry["ModTime"]).timestamp()
        version = f"{entry['ModTime']}-{entry['Size']}"
        return None if content is None else Object(entry["Path"], content, age_s, version)

    def write(self, name: str, content: str) -> None:
        """Write an object."""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as file:
            file.write(content)
            file.flush()
            command = ("copyto", "--ignore-times", "--no-traverse", "--", file.name, self._path(name))
            if self._run(*command) is None:
                raise _unusable("does not exist", self._folder)

    def delete(self, given: Object) -> None:
        """Delete an object unless it was written again after it was read."""
        if any((now.name, now.version) == (given.name, given.version) for now in self.read()):
            self._run("deletefile", "--", self._path(given.name))

    def _path(self, name: str) -> str:
        return rclone_path(join(self._folder, name))

    def _run(self, *command: str) -> bytes | None:
        """Run rclone and return what it prints; None if the file or folder does not exist."""
        try:
            return rclone.run(*command, where=self._folder, patience=rclone.HASTE)
        except rclone.RcloneError as error:
            if error.reason == "missing":
                return None
            raise _unusable(error.what, self._folder) from error


Store = FolderStore | S3Store | RcloneStore


def _unusable(why: str, place: object) -> UserError:
    hint = "Check `batch.lock`, and that this machine may read and write there"
    return UserError(f"the lock cannot be used ({why})", where=place, hint=hint)
