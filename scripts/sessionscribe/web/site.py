"""The state that requests share, and helpers to read requests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request

from sessionscribe.web.archive import Archive
from sessionscribe.web.edits import Editor
from sessionscribe.web.exports import Exports
from sessionscribe.web.runs import Runs
from sessionscribe.web.search import Index
from sessionscribe.web.security import Rules

MOST_JSON = 2_000_000
Asked = TypeVar("Asked", bound=BaseModel)


@dataclass(frozen=True)
class Site:
    """A project and the server's services.

    ``records`` enables the page that records; ``prefix`` (``/PATH``) is the server's path behind a proxy.
    """

    archive: Archive
    editor: Editor
    index: Index
    runs: Runs
    exports: Exports
    rules: Rules
    libraries: Path
    records: bool = False
    prefix: str = ""

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.archive.root

    def session(self, request: Request) -> str:
        """Return the session in a request's path; code 404 if it is not in the manifest."""
        name: str = request.path_params["session"]
        if self.archive.session(name) is None:
            raise HTTPException(404, "There is no such session.")
        return name


def site_of(request: Request) -> Site:
    """Return the application's site."""
    site: Site = request.app.state.site
    return site


async def body(request: Request, most: int) -> bytes:
    """Return the body of a request; code 413 if it is too large."""
    content, too_large = bytearray(), HTTPException(413, f"At most {most:,} bytes.")
    if int(request.headers.get("content-length", "0")) > most:  # uvicorn has checked that it is a number
        raise too_large
    async for block in request.stream():
        content += block
        if len(content) > most:
            raise too_large
    return bytes(content)


async def asked(request: Request, model: type[Asked], most: int = MOST_JSON) -> Asked:
    """Return the JSON of a request as a model; code 422 if it is invalid."""
    return model.model_validate_json(await body(request, most))
