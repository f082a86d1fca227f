"""A finished session's files in few: artifacts as JSON lines, arrays in an archive, exports as they are.

One pack per stage, so that a version which differs in its exports only shares all else with the one before.
A line is the artifact itself, found by ``{"path":…,"content":…}``; packing and unpacking copy its bytes.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from sessionscribe.artifacts.provenance import Provenance
from sessionscribe.artifacts.published import PackedFile, Published
from sessionscribe.core import files, seal
from sessionscribe.core.errors import UserError
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.session_files import (
    RECORDS,
    changed,
    is_audio,
    record_without,
    recorded,
    session_files,
)
from sessionscribe.planning.steps import paths
from sessionscribe.planning.steps.work import told
from sessionscribe.publish.package_manifest import CONTENTS, folder_of

EXPORT = "export"
DAMAGED = (
    "Pull the session again (`sessionscribe pull`); if that does not help, publish it again where it was made"
)


def wanted(plan: SessionPlan, *, audio: bool) -> list[str]:
    """Return the files that are published: all but audio that is not asked for, or not here."""
    return [path for path in session_files(plan) if not is_audio(path) or (audio and path not in plan.absent)]


def pack(root: Path, plan: SessionPlan, *, audio: bool) -> Published:
    """Write the published form of a finished session, and put it in place of the one before.

    Args:
        root: the project's folder.
        plan: the session; nothing of it is pending.
        audio: whether its converted audio is published too.

    Raises:
        UserError: a file is not what the job that made it wrote down.
    """
    folder = root / folder_of(plan.session.name)
    fresh = folder.with_name(f".packing-{folder.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    names = session_files(plan)
    kept = wanted(plan, audio=audio)
    left_out = [path for path in names if path not in set(kept)]
    resolver = _Packer(root, fresh, recorded(root, names), left_out)
    packed = [file for name, paths in _grouped(kept) for file in resolver.write(name, paths)]
    transcript = _transcript(plan)
    published = _describe(root, plan, transcript, packed, left_out)
    published.write(fresh / CONTENTS)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return published


def _grouped(paths: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Return the packs: their names and what goes into each."""
    groups: dict[str, list[str]] = {}
    for path in paths:
        _, stage, rest = path.split("/", 2)
        if stage == EXPORT or is_audio(path):
            name = f"{stage}/{rest.split('/', 1)[1]}"
        else:
            name = f"{stage}.jsonl" if path.endswith(".json") else f"{stage}.zip"
        groups.setdefault(name, []).append(path)
    return list(groups.items())


class _Packer:
    """Writes the packs of one session, checking each file against what the job that made it wrote down."""

    def __init__(self, root: Path, folder: Path, recorded: dict[str, str], left_out: list[str]) -> None:
        self._root, self._folder = root, folder
        self._recorded, self._left_out = recorded, left_out

    def write(self, name: str, paths: list[str]) -> list[PackedFile]:
        """Write a pack; return what is in it."""
        target = self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if "/" in name:
            shutil.copyfile(self._root / paths[0], target)
            return [self._checked(paths[0], target.stat().st_size, files.sha256(target), name)]
        if name.endswith(".zip"):
            with zipfile.ZipFile(target, "w") as archive:  # stored: arrays are compressed already
                return [self._put(archive, name, path) for path in paths]
        with target.open("wb") as lines:
            return [self._put(lines, name, path) for path in paths]

    def _put(self, pack_file: zipfile.ZipFile | BinaryIO, name: str, path: str) -> PackedFile:
        data = (self._root / path).read_bytes()
        try:
            seal.unsealed(data)
        except ValueError as error:
            raise UserError(str(error), where=path, hint="Delete it and run again") from error
        found = self._checked(path, len(data), sha256(data).hexdigest(), name)
        if path.startswith(RECORDS):
            data = record_without(data, self._left_out)
            found = PackedFile(path=path, size=len(data), sha256=sha256(data).hexdigest(), pack=name)
        if isinstance(pack_file, zipfile.ZipFile):
            pack_file.writestr(zipfile.ZipInfo(path), data)  # of no date, so that same content is same bytes
        else:
            pack_file.write(line_of(path, data))
        return found

    def _checked(self, path: str, size: int, digest: str, pack_name: str) -> PackedFile:
        if self._recorded.get(path, digest) != digest:
            raise changed(path)
        return PackedFile(path=path, size=size, sha256=digest, pack=pack_name)


def line_of(path: str, data: bytes) -> bytes:
    """Return a file's line of a pack. Our artifacts are one line of JSON: it is taken over as it is."""
    head = f'{{"path":{json.dumps(path, ensure_ascii=False)},'.encode()
    if data.startswith(b"{") and data.endswith(b"}\n") and data.count(b"\n") == 1:
        return head + b'"content":' + data[:-1] + b"}\n"
    return head + b'"text":' + json.dumps(data.decode(), ensure_ascii=False).encode() + b"}\n"


def content_of(path: str, line: bytes) -> bytes:
    """Return the bytes of a file from its line.

    Raises:
        ValueError: the line is another file's, or damaged.
    """
    head = f'{{"path":{json.dumps(path, ensure_ascii=False)},"content":'.encode()
    if line.startswith(head) and line.endswith(b"}\n"):
        return line[len(head) : -2] + b"\n"
    found = json.loads(line)
    if found["path"] != path:
        raise ValueError(path)
    return str(found["text"]).encode()


def unpacked(folder: Path, published: Published) -> Iterator[tuple[PackedFile, bytes]]:
    """Yield every packed file with its bytes; of audio and exports too, which lie in the folder as they are.

    Raises:
        UserError: the published form is incomplete, or a file is not what its contents say.
    """
    groups: dict[str, list[PackedFile]] = {}
    for file in published.files:
        groups.setdefault(file.pack, []).append(file)
    for name, members in groups.items():
        yield from _checked_members(folder / name, members)


def _checked_members(where: Path, members: list[PackedFile]) -> Iterator[tuple[PackedFile, bytes]]:
    try:
        for file, data in zip(members, _read(where, members), strict=True):
            if len(data) != file.size or sha256(data).hexdigest() != file.sha256:
                raise ValueError(f"{file.path} has another checksum")
            yield file, data
    except (OSError, ValueError, LookupError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"is damaged ({error})", where=where, hint=DAMAGED) from error


def one(pack_file: Path, published: Published, path: str) -> bytes:
    """Return the bytes of one packed file.

    Raises:
        UserError: it is not what the contents say.
    """
    wanted = published.file(path)
    members = [file for file in published.files if file.pack == wanted.pack]
    for file, data in _checked_members(pack_file, members):
        if file.path == path:
            return data
    raise KeyError(path)


def _read(pack_file: Path, members: list[PackedFile]) -> Iterator[bytes]:
    if "/" in members[0].pack:
        yield pack_file.read_bytes()
    elif pack_file.suffix == ".zip":
        with zipfile.ZipFile(pack_file) as archive:
            for file in members:
                entry = archive.getinfo(file.path)
                if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != file.size:
                    raise ValueError(f"{file.path} is packed otherwise than here")
                yield archive.read(entry)
    else:
        with pack_file.open("rb") as lines:
            for file, line in zip(members, lines, strict=True):
                yield content_of(file.path, line)


def _transcript(plan: SessionPlan) -> str:
    """Return the path of the finished transcript: what exports are written from."""
    (export,) = plan.of("write_export")
    return paths(export.inputs["transcript"])[0]


def _describe(
    root: Path, plan: SessionPlan, transcript: str, packed: list[PackedFile], left_out: list[str]
) -> Published:
    content = json.loads((root / transcript).read_bytes())
    (export,) = plan.of("write_export")
    record = Provenance.read(root / export.record)
    return Published(
        session=plan.session.name,
        layout=content["layout"],
        duration_s=content["duration_s"],
        language=content["language"],
        words=sum(len(segment["words"]) for segment in content["segments"]),
        speakers=len(content["speakers"]),
        engines=content["engines"],
        diarization=content["diarization"],
        versions=record.versions,
        settings=told(plan.plan.works),
        rows=[
            {name: value for name, value in asdict(row).items() if name != "line" and value not in ("", None)}
            for row in plan.session.rows
        ],
        transcript=transcript,
        files=packed,
        left_out=left_out,
    )
