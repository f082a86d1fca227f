"""What recorders ask for: the lock that keeps batches from the GPU while a recording goes on."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sessionscribe.batch.locks import BatchLock
from sessionscribe.web.archive import Archive

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
            return Asked.model_validate_json(await request.body())
        except ValidationError as error:
            raise HTTPException(422, str(error.errors()[0]["msg"])) from None
