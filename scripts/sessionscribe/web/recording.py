"""What recorders ask for: the lock that keeps batches from the GPU, and a place for parts of a recording."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from anyio import to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sessionscribe.batch.locks import BatchLock
from sessionscribe.core.files import atomic_path
from sessionscribe.manifest.names import slug
from sessionscribe.web.archive import Archive

FOLDER = Path("recordings/live")
MOST_BYTES = 50_000_000
"""Of a part: a minute takes half a megabyte."""
PART = re.compile(r"chunk-([0-9]{3,6})\.(webm|mp4)")
BEGINNINGS = {"webm": (0, b"\x1a\x45\xdf\xa3"), "mp4": (4, b"ftyp")}
"""How a whole file begins, and where; what MediaRecorder cuts off later in a recording does not."""

Name = Annotated[str, Field(max_length=200)]


class Asked(BaseModel):
    """Whose lock is meant."""

    model_config = ConfigDict(alias_generator=to_camel)

    user_id: Name = ""
    session_id: Name = ""


class LockApi:
    """The lock, over HTTP: what `sessionscribe batch lock`, `unlock` and `lock-status` do.

    Args:
        archive: has the settings, which say where the lock is.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def routes(self) -> list[Route]:
        """Return where it is asked."""
        return [
            Route("/api/batch/lock", self.lock, methods=["POST"]),
            Route("/api/batch/unlock", self.unlock, methods=["POST"]),
            Route("/api/batch/lock-status", self.status),
        ]

    def batch_lock(self) -> BatchLock:
        """Return the lock that the settings name now."""
        return BatchLock.of(self._archive.config, self._archive.root)

    async def lock(self, request: Request) -> Response:
        """Lock for a session, or renew its lock; return the lock."""
        asked = await self._asked(request)
        if not asked.session_id:
            raise HTTPException(422, "Say which recording: sessionId.")
        made = await to_thread.run_sync(lambda: self.batch_lock().lock(asked.user_id, asked.session_id))
        return JSONResponse(made.model_dump(by_alias=True))

    async def unlock(self, request: Request) -> Response:
        """Remove the lock of a session, or all of a user's; return the newest that is left."""
        asked = await self._asked(request)
        if not asked.session_id and not asked.user_id:
            raise HTTPException(422, "Say whose lock: sessionId or userId.")
        lock = self.batch_lock()
        await to_thread.run_sync(lock.unlock, asked.user_id, asked.session_id or None)
        return JSONResponse(await to_thread.run_sync(lock.status))

    async def status(self, _: Request) -> Response:
        """Return the newest lock that is in force, and its age."""
        return JSONResponse(await to_thread.run_sync(lambda: self.batch_lock().status()))

    async def _asked(self, request: Request) -> Asked:
        try:
            return Asked.model_validate_json(await _body(request, 10_000))
        except ValidationError as error:
            raise HTTPException(422, str(error.errors()[0]["msg"])) from None


class Recordings:
    """Recordings that come in part by part; each part is a whole file of ``recordings/live/SESSION/``.

    Args:
        archive: the project.
        arguments: options of the command that adds them: profile and settings files.
    """

    def __init__(self, archive: Archive, arguments: Sequence[str]) -> None:
        self._archive, self._arguments = archive, list(arguments)
        self._writing = threading.Lock()

    def routes(self) -> list[Route]:
        """Return where they are sent."""
        return [
            Route("/api/record/{session}", self.next),
            Route("/api/record/{session}/finish", self.finish, methods=["POST"]),
            Route("/api/record/{session}/{part}", self.put, methods=["PUT"]),
        ]

    async def next(self, request: Request) -> Response:
        """Return the number of the next part."""
        folder = self._folder(request)
        known = await to_thread.run_sync(self._archive.session, folder.name)
        sources = [self._archive.root / row.source for row in known.session.rows] if known else []
        if any(source.resolve().parent != folder.resolve() for source in sources):
            raise HTTPException(409, "There is another session of this name.")
        return JSONResponse({"next": max(_numbers(folder), default=-1) + 1})

    async def put(self, request: Request) -> Response:
        """Keep a part. The same part may come again: its sender did not hear that it had arrived."""
        folder, name = self._folder(request), str(request.path_params["part"])
        match = PART.fullmatch(name)
        if match is None or name != f"chunk-{int(match[1]):03}.{match[2]}":
            raise HTTPException(404, "Parts are called chunk-000.webm, chunk-001.webm …")
        content = await _body(request, MOST_BYTES)
        start, beginning = BEGINNINGS[match[2]]
        if not content[start:].startswith(beginning):
            raise HTTPException(422, f"This is not a whole {match[2]} file.")
        made = await to_thread.run_sync(self._write, folder / name, int(match[1]), content)
        return JSONResponse({"next": int(match[1]) + 1}, 201 if made else 200)

    def _write(self, path: Path, number: int, content: bytes) -> bool:
        """Write a part, whole or not at all; return False where it is there."""
        try:
            with self._writing:
                if path.is_file() and path.read_bytes() == content:
                    return False
                if number <= max(_numbers(path.parent), default=-1):
                    raise HTTPException(409, "There is such a part, or a later one, and it is another one.")
                with atomic_path(path) as temporary:
                    temporary.write_bytes(content)
                return True
        except OSError as error:
            raise HTTPException(507, f"The part cannot be written ({error.strerror}).") from error

    async def finish(self, request: Request) -> Response:
        """Add the recording to the manifest, as `sessionscribe add` does: by that command."""
        folder = self._folder(request)
        if not _numbers(folder):
            raise HTTPException(409, "Nothing of it has arrived.")
        source = str(FOLDER / folder.name)
        command = [sys.executable, "-m", "sessionscribe.cli.main", "add", source, "--layout", "live"]
        command += ["--session", folder.name, *self._arguments]
        done = await to_thread.run_sync(
            lambda: subprocess.run(
                command, cwd=self._archive.root, capture_output=True, text=True, check=False
            )
        )
        if done.returncode:
            raise HTTPException(400, (done.stderr.strip() or "It was not added.").splitlines()[-1])
        return JSONResponse({"added": folder.name})

    def _folder(self, request: Request) -> Path:
        name = str(request.path_params["session"])
        if slug(name) != name:
            raise HTTPException(404, "A session's name has letters, digits, `_` and `-`.")
        return self._archive.root / FOLDER / name


def _numbers(folder: Path) -> list[int]:
    """Return the numbers of the parts that are there."""
    found = (PART.fullmatch(path.name) for path in folder.glob("chunk-*"))
    return [int(match[1]) for match in found if match]


async def _body(request: Request, most: int) -> bytes:
    """Return what is sent, unless it has more than so many bytes."""
    content = bytearray()
    declared = request.headers.get("content-length", "0")
    too_large = HTTPException(413, f"At most {most:,} bytes.")
    if not declared.isdecimal() or int(declared) > most:
        raise too_large
    async for block in request.stream():
        content += block
        if len(content) > most:
            raise too_large
    return bytes(content)
