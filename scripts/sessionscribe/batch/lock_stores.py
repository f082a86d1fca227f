"""Where the lock's objects lie: a folder, a bucket of S3, or a remote that rclone knows.

An object is named relative to the folder of the lock's file: ``batch-lock.json`` and
``batch-lock/SESSION.json``.
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
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from sessionscribe.core.errors import UserError
from sessionscribe.core.files import write_text
from sessionscribe.manifest.manifest import locked
from sessionscribe.storage import rclone
from sessionscribe.storage.locations import S3, is_remote, join, parent, rclone_path

HINT = "Check `batch.lock`, and that this machine may read and write there"


@dataclass(frozen=True)
class Object:
    """An object: what is in it, how long ago it was written by the store's clock, and which writing it is."""

    name: str
    content: bytes
    age_s: float
    version: str


class Store(Protocol):
    """A place for the lock's objects. Whatever goes wrong there is a ``UserError``."""

    def read(self) -> list[Object]:
        """Return all objects."""

    def write(self, name: str, content: str) -> None:
        """Write an object, whole."""

    def delete(self, given: Object) -> None:
        """Delete an object, if it is still the one that was read."""


def store_of(place: str, root: Path, s3_remote: str) -> tuple[Store, str]:
    """Return the store at ``batch.lock``, and the name of the lock's file in it.

    Args:
        place: a path, ``s3://bucket/path`` or ``remote:path``.
        root: the project's folder, which paths are relative to.
        s3_remote: the remote that stands for `s3://`; "" for AWS itself.
    """
    match = S3.fullmatch(place)
    if match and not s3_remote:
        bucket, _, key = match["path"].partition("/")
        if not key:
            hint = "Write s3://BUCKET/batch-lock.json"
            raise UserError("names no object", where=f"batch.lock: {place}", hint=hint)
        folder, slash, name = key.rpartition("/")
        return S3Store(place, bucket, folder + slash, name), name
    if is_remote(place):
        name = PurePosixPath(place.partition(":")[2]).name
        return RemoteStore(parent(place), name, s3_remote), name
    path = root / Path(place).expanduser()
    return FolderStore(path.parent, path.name), path.name


def _names(file: str) -> tuple[str, str]:
    """Return the lock's file, and the folder of the sessions' own ones."""
    return file, f"{PurePosixPath(file).stem}/"


class FolderStore:
    """A folder of this machine, or one that is mounted here."""

    def __init__(self, folder: Path, file: str) -> None:
        self._folder, self._file = folder, file

    def read(self) -> list[Object]:
        """Return all objects."""
        name, inside = _names(self._file)
        with self._errors():
            paths = [self._folder / name, *sorted((self._folder / inside).glob("*.json"))]
            return [found for path in paths if (found := self._object(path))]

    def _object(self, path: Path) -> Object | None:
        try:
            with path.open("rb") as file:
                content, about = file.read(), path.stat()
        except FileNotFoundError:
            return None
        name = path.relative_to(self._folder).as_posix()
        return Object(name, content, time.time() - about.st_mtime, f"{about.st_mtime_ns}-{about.st_ino}")

    def write(self, name: str, content: str) -> None:
        """Write an object."""
        with self._errors(), locked(self._folder / self._file):
            write_text(self._folder / name, content)

    def delete(self, given: Object) -> None:
        """Delete an object that is as it was."""
        path = self._folder / given.name
        with self._errors(), locked(self._folder / self._file):
            now = self._object(path)
            if now and now.version == given.version:
                path.unlink()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            what = f"the lock cannot be used ({error.strerror or error})"
            raise UserError(what, where=error.filename or self._folder, hint=HINT) from error


class S3Store:
    """A bucket, asked with AWS's own variables and files; deletions are conditional (``If-Match``)."""

    def __init__(self, place: str, bucket: str, prefix: str, file: str) -> None:
        self._place, self._bucket, self._prefix, self._file = place, bucket, prefix, file
        self._made: Any = None

    @property
    def _client(self) -> Any:
        if self._made is None:
            from botocore.config import Config  # noqa: PLC0415 -- of no use to other stores
            from botocore.session import Session  # noqa: PLC0415

            patience = Config(connect_timeout=10, read_timeout=20, retries={"mode": "standard"})
            self._made = Session().create_client("s3", config=patience)
        return self._made

    def read(self) -> list[Object]:
        """Return all objects."""
        name, inside = _names(self._file)
        with self._errors():
            stem = f"{self._prefix}{PurePosixPath(self._file).stem}"
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=stem)
            keys = (entry["Key"] for page in pages for entry in page.get("Contents", ()))
            names = [key.removeprefix(self._prefix) for key in keys]
            wanted = [each for each in names if each == name or each.startswith(inside)]
            return [found for each in wanted if (found := self._object(each))]

    def _object(self, name: str) -> Object | None:
        try:
            got = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
        except self._client.exceptions.NoSuchKey:
            return None
        now = parsedate_to_datetime(got["ResponseMetadata"]["HTTPHeaders"]["date"])
        age_s = (now - got["LastModified"]).total_seconds()
        return Object(name, got["Body"].read(), age_s, got["ETag"])

    def write(self, name: str, content: str) -> None:
        """Write an object."""
        with self._errors():
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._prefix + name,
                Body=content.encode(),
                ContentType="application/json",
            )

    def delete(self, given: Object) -> None:
        """Delete an object that is as it was."""
        with self._errors():
            which = {"Bucket": self._bucket, "Key": self._prefix + given.name}
            try:
                self._client.delete_object(**which, IfMatch=given.version)
            except self._client.exceptions.ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "NotImplemented":  # a server that knows no conditions
                    self._client.delete_object(**which)
                elif code not in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412"):
                    raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            what = f"the lock cannot be used ({' '.join(str(error).split())[:200]})"
            raise UserError(what, where=self._place, hint=HINT) from error


class RemoteStore:
    """A remote of rclone's, without conditions: of two writers the last one wins; the clock is ours."""

    def __init__(self, folder: str, file: str, s3_remote: str) -> None:
        self._folder, self._file, self._s3_remote = folder, file, s3_remote

    def read(self) -> list[Object]:
        """Return all objects."""
        name, inside = _names(self._file)
        chosen = (f"--include=/{name}", f"--include=/{inside}*.json")
        options = ("--recursive", "--files-only", "--no-mimetype", "--use-server-modtime")
        try:
            found = self._run("lsjson", *options, *chosen, "--", self._path(""))
        except rclone.RcloneError as error:
            if error.reason == "missing":
                return []
            raise
        return [one for entry in json.loads(found or b"[]") if (one := self._object(entry))]

    def _object(self, entry: dict[str, Any]) -> Object | None:
        try:
            content = self._run("cat", "--", self._path(entry["Path"]))
        except rclone.RcloneError as error:
            if error.reason == "missing":
                return None
            raise
        written = datetime.fromisoformat(entry["ModTime"]).timestamp()
        return Object(entry["Path"], content, time.time() - written, f"{entry['ModTime']}-{entry['Size']}")

    def write(self, name: str, content: str) -> None:
        """Write an object."""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".json") as file:
            file.write(content)
            file.flush()
            self._run("copyto", "--ignore-times", "--no-traverse", "--", file.name, self._path(name))

    def delete(self, given: Object) -> None:
        """Delete an object that is as it was a moment ago."""
        if any((now.name, now.version) == (given.name, given.version) for now in self.read()):
            self._run("deletefile", "--", self._path(given.name))

    def _path(self, name: str) -> str:
        place = join(self._folder, name) if name else self._folder
        return rclone_path(place, s3_remote=self._s3_remote)

    def _run(self, *command: str) -> bytes:
        return rclone.run(*command, where=self._folder, patience=rclone.HASTE)
