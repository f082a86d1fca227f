"""Names of places: a path, `remote:path`, `s3://bucket/path`, `drive-desktop:path`."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

REMOTE = re.compile(r"(?P<remote>[\w.+@][\w.+@ -]+):(?P<path>(?!//).*)", re.DOTALL)
S3 = re.compile(r"s3://(?P<path>(?!/).*)", re.DOTALL)
DRIVE_DESKTOP = "drive-desktop"
S3_REMOTE = "sessionscribe_s3"
"""The remote that stands for `s3://`, made of AWS's standard variables."""


def is_remote(source: str) -> bool:
    """Return whether rclone is needed to read a source. A local file `a:b` is written as `./a:b`."""
    match = REMOTE.fullmatch(source)
    return bool(S3.fullmatch(source)) or (match is not None and match["remote"] != DRIVE_DESKTOP)


def rclone_path(source: str) -> str:
    """Return rclone's name for a source."""
    match = S3.fullmatch(source)
    return f"{S3_REMOTE}:{match['path']}" if match else source


def split(source: str) -> tuple[str, str]:
    """Return the root of a remote source (`s3://`, `remote:`) and the path below it."""
    match = S3.fullmatch(source) or REMOTE.fullmatch(source)
    if match is None:
        raise ValueError(source)
    path = match["path"]
    return source[: len(source) - len(path)], path


def join(folder: str, name: str) -> str:
    """Return the source of the file ``name`` in a folder."""
    if not (S3.fullmatch(folder) or REMOTE.fullmatch(folder)):
        return str(PurePosixPath(folder, name))
    root, path = split(folder)
    return f"{root}{path.rstrip('/')}/{name}" if path.strip("/") else f"{root}{name}"


def name_of(source: str) -> str:
    """Return the file name of a source, which has no slash before it in a remote's root."""
    match = S3.fullmatch(source) or REMOTE.fullmatch(source)
    return PurePosixPath(match["path"] if match else source).name


def parent(source: str) -> str:
    """Return the folder of a source."""
    if not is_remote(source) and not source.startswith(f"{DRIVE_DESKTOP}:"):
        return str(Path(source).parent)
    root, path = split(source)
    folder = PurePosixPath(path).parent.as_posix()
    return root if folder == "." else f"{root}{folder}"
