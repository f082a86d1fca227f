"""Pack a finished session into few files: artifacts as JSON lines, arrays in an archive, exports as they are.

Each stage has a pack, so versions that only differ in their exports share everything else. A line has the
form ``{"path":…,"content":…}``; packing and unpacking copy the bytes of the content.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from sessionscribe.artifacts.provenance import Provenance
from sessionscribe.artifacts.published import PackedFile, Published
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.core import files
from sessionscribe.core.errors import UserError
from sessionscribe.planning.session import SessionPlan
from sessionscribe.planning.session_files import SessionFile, files_to_pack, is_audio, session_files, verified
from sessionscribe.planning.steps import paths, told
from sessionscribe.publish.state import CONTENTS, folder_of

T = TypeVar("T")
DAMAGED = (
    "Pull the session again (`sessionscribe pull`); if that does not help, publish it again where it was made"
)


def wanted(plan: SessionPlan, *, audio: bool) -> list[str]:
    """Return the files to publish: all except audio that is not asked for or not here."""
    return [path for path in session_files(plan) if not is_audio(path) or (audio and path not in plan.absent)]


def pack(root: Path, plan: SessionPlan, *, audio: bool) -> Published:
    """Write the package of a finished session, with its converted ``audio`` if asked for.

    Raises:
        UserError: a file is not what the job that made it wrote down.
    """
    folder = root / folder_of(plan.session.name)
    fresh = folder.with_name(f".packing-{folder.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    kept = wanted(plan, audio=audio)
    left_out = [path for path in session_files(plan) if is_audio(path) and path not in kept]
    packs: dict[str, list[SessionFile]] = {}
    for file in files_to_pack(root, kept, left_out):
        packs.setdefault(_pack_of(file.entry.path), []).append(file)
    for name, members in packs.items():
        _write(fresh / name, members)
    packed = [
        PackedFile(**dict(file.entry), pack=name) for name, members in packs.items() for file in members
    ]
    published = _describe(root, plan, packed, left_out)
    published.write(fresh / CONTENTS)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return published


def _pack_of(path: str) -> str:
    """Return the pack of a file; exports and audio are packs of their own."""
    _, stage, rest = path.split("/", 2)
    if _is_as_it_is(path):
        return f"{stage}/{rest.split('/', 1)[1]}"
    return f"{stage}.jsonl" if path.endswith(".json") else f"{stage}.zip"


def _is_as_it_is(path: str) -> bool:
    return (path.startswith("results/export/") and path.count("/") > 2) or is_audio(path)


def _write(target: Path, members: list[SessionFile]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, "w") as archive:  # stored: arrays are compressed already
            for file in members:
                file.add_to(archive)
        return
    with target.open("wb") as pack_file:
        for file in members:
            path = file.entry.path
            as_it_is = _is_as_it_is(path)
            pack_file.writelines(file.blocks() if as_it_is else [line_of(path, b"".join(file.blocks()))])


def line_of(path: str, data: bytes) -> bytes:
    """Return a file as a line of a pack. Artifacts, which are a line of JSON, are copied unchanged."""
    head = f'{{"path":{json.dumps(path, ensure_ascii=False)},'.encode()
    if data.startswith(b"{") and data.endswith(b"}\n") and data.count(b"\n") == 1:
        return head + b'"content":' + data[:-1] + b"}\n"
    return head + b'"text":' + json.dumps(data.decode(), ensure_ascii=False).encode() + b"}\n"


def content_of(path: str, line: bytes) -> bytes:
    """Return the bytes of a file from its line.

    Raises:
        ValueError: the line belongs to another file, or is damaged.
    """
    head = f'{{"path":{json.dumps(path, ensure_ascii=False)},"content":'.encode()
    if line.startswith(head) and line.endswith(b"}\n"):
        return line[len(head) : -2] + b"\n"
    found = json.loads(line)
    if found["path"] != path:
        raise ValueError(path)
    return str(found["text"]).encode()


def unpacked(folder: Path, published: Published) -> Iterator[tuple[PackedFile, Iterable[bytes]]]:
    """Yield every file of a package with its content in blocks.

    Raises:
        UserError: the package is incomplete, or a file does not have its checksum.
    """
    for name in dict.fromkeys(file.pack for file in published.files):
        yield from _members(folder / name, published, name)


def one(pack_file: Path, published: Published, path: str) -> bytes:
    """Return the content of one packed file.

    Raises:
        UserError: it does not have its checksum.
    """
    members = _members(pack_file, published, published.file(path).pack)
    return next(b"".join(blocks) for file, blocks in members if file.path == path)


def _members(where: Path, published: Published, name: str) -> Iterator[tuple[PackedFile, Iterable[bytes]]]:
    members = [file for file in published.files if file.pack == name]
    for file, blocks in _reading(where, zip(members, _read(where, members), strict=True)):
        yield file, _reading(where, verified(file, blocks))


def _reading(where: Path, items: Iterable[T]) -> Iterator[T]:
    """Yield what is read from a pack; any error means that the pack is damaged."""
    try:
        yield from items
    except (OSError, ValueError, LookupError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"is damaged ({error})", where=where, hint=DAMAGED) from error


def _read(pack_file: Path, members: list[PackedFile]) -> Iterator[Iterable[bytes]]:
    if "/" in members[0].pack:
        yield files.blocks(pack_file)
    elif pack_file.suffix == ".zip":
        with zipfile.ZipFile(pack_file) as archive:
            for file in members:
                entry = archive.getinfo(file.path)
                if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != file.size:
                    raise ValueError(f"{file.path} is not packed as expected")
                yield (archive.read(entry),)
    else:
        with pack_file.open("rb") as lines:
            for file, line in zip(members, lines, strict=True):
                yield (content_of(file.path, line),)


def _describe(root: Path, plan: SessionPlan, packed: list[PackedFile], left_out: list[str]) -> Published:
    (export,) = plan.of("write_export")
    (transcript,) = paths(export.inputs["transcript"])
    content = Transcript.read(root / transcript)
    record = Provenance.read(root / export.record)
    return Published(
        session=plan.session.name,
        layout=content.layout,
        duration_s=content.duration_s,
        language=content.language,
        words=sum(len(segment.words) for segment in content.segments),
        speakers=len(content.speakers),
        engines=content.engines,
        diarization=content.diarization,
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
