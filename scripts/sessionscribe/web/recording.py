"""For recorders: the lock that makes batches wait, and the upload of a recording's parts."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sessionscribe.batch.locks import BatchLock
from sessionscribe.core.errors import UserError
from sessionscribe.core.files import atomic_path
from sessionscribe.manifest.names import slug
from sessionscribe.web.site import Site, asked, body, site_of

FOLDER = Path("recordings/live")
MOST_BYTES = 50_000_000
"""Maximum size of a part; a minute takes half a megabyte."""
PART = re.compile(r"chunk-([0-9]{3,6})\.(webm|mp4)")
BEGINNINGS = {"webm": (0, b"\x1a\x45\xdf\xa3"), "mp4": (4, b"ftyp")}
"""Offset and signature of complete files; later slices of a MediaRecorder recording have none."""
MOST_ASKED = 10_000
"""Maximum size of a lock request in bytes."""
_writing = threading.Lock()
Name = Annotated[str, Field(max_length=200)]


class Whose(BaseModel):
    """The user and session of a lock."""

    model_config = ConfigDict(alias_generator=to_camel)

    user_id: Name = ""
    session_id: Name = ""


def locks(site: Site) -> list[str]:
    """Return the reasons why batches are waiting."""
    try:
        return [str(held) for held in lock_of(site).held()]
    except UserError as error:
        return [str(error)]


def lock_of(site: Site) -> BatchLock:
    """Return the configured lock."""
    return BatchLock(site.archive.config.batch, site.root)


async def lock(request: Request) -> Response:
    """Take or renew the lock of a session; return it."""
    whose = await asked(request, Whose, MOST_ASKED)
    if not whose.session_id:
        raise HTTPException(422, "Say which recording: sessionId.")
    made = await run_in_threadpool(lock_of(site_of(request)).lock, whose.user_id, whose.session_id)
    return JSONResponse(made.model_dump(by_alias=True))


async def unlock(request: Request) -> Response:
    """Release the lock of a session, or all locks of a user; return the newest remaining one."""
    whose = await asked(request, Whose, MOST_ASKED)
    if not whose.session_id and not whose.user_id:
        raise HTTPException(422, "Say whose lock: sessionId or userId.")
    await run_in_threadpool(lock_of(site_of(request)).unlock, whose.user_id, whose.session_id or None)
    return await run_in_threadpool(lock_status, request)


def lock_status(request: Request) -> Response:
    """Return the newest active lock and its age."""
    return JSONResponse(lock_of(site_of(request)).status())


# Recordings that arrive in parts; each part is a complete file in recordings/live/SESSION/.


def next_part(request: Request) -> Response:
    """Return the number of the next part."""
    folder, site = _folder(request), site_of(request)
    known = site.archive.session(folder.name)
    sources = [site.root / row.source for row in known.session.rows] if known else []
    if any(source.resolve().parent != folder.resolve() for source in sources):
        raise HTTPException(409, "There is another session of this name.")
    return JSONResponse({"next": max(_numbers(folder), default=-1) + 1})


async def put_part(request: Request) -> Response:
    """Store a part. Sending a part twice is harmless."""
    folder, name = _folder(request), request.path_params["part"]
    match = PART.fullmatch(name)
    if match is None or name != f"chunk-{int(match[1]):03}.{match[2]}":
        raise HTTPException(404, "Parts are called chunk-000.webm, chunk-001.webm …")
    content = await body(request, MOST_BYTES)
    start, beginning = BEGINNINGS[match[2]]
    if not content[start:].startswith(beginning):
        raise HTTPException(422, f"This is not a complete {match[2]} file.")
    made = await run_in_threadpool(_write, folder / name, int(match[1]), content)
    return JSONResponse({"next": int(match[1]) + 1}, 201 if made else 200)


def _write(path: Path, number: int, content: bytes) -> bool:
    """Write a part atomically; return False if it exists."""
    try:
        with _writing:
            if path.is_file() and path.read_bytes() == content:
                return False
            if number <= max(_numbers(path.parent), default=-1):
                raise HTTPException(409, "This part, or a later one, exists with other content.")
            with atomic_path(path) as temporary:
                temporary.write_bytes(content)
            return True
    except OSError as error:
        raise HTTPException(507, f"The part cannot be written ({error.strerror}).") from error


def finish(request: Request) -> Response:
    """Add the recording to the manifest with `sessionscribe add`."""
    folder, site = _folder(request), site_of(request)
    if not _numbers(folder):
        raise HTTPException(409, "No part of this recording has arrived.")
    source = str(FOLDER / folder.name)
    command = [sys.executable, "-m", "sessionscribe.cli.main", "add", source, "--layout", "live"]
    command += ["--session", folder.name, *site.runs.options]
    done = subprocess.run(command, cwd=site.root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HTTPException(400, (done.stderr.strip() or "It was not added.").splitlines()[-1])
    return JSONResponse({"added": folder.name})


def _folder(request: Request) -> Path:
    name: str = request.path_params["session"]
    if slug(name) != name:
        raise HTTPException(404, "Names of sessions consist of letters, digits, `_` and `-`.")
    return site_of(request).root / FOLDER / name


def _numbers(folder: Path) -> list[int]:
    """Return the numbers of the stored parts."""
    found = (PART.fullmatch(path.name) for path in folder.glob("chunk-*"))
    return [int(match[1]) for match in found if match]


LOCK = [
    Route("/api/batch/lock", lock, methods=["POST"]),
    Route("/api/batch/unlock", unlock, methods=["POST"]),
    Route("/api/batch/lock-status", lock_status),
]
PARTS = [
    Route("/api/record/{session}", next_part),
    Route("/api/record/{session}/finish", finish, methods=["POST"]),
    Route("/api/record/{session}/{part}", put_part, methods=["PUT"]),
]
