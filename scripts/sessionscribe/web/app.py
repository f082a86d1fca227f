"""The application: its routes, middleware and error handlers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from sessionscribe.core.errors import UserError
from sessionscribe.formats.page import PLAYER
from sessionscribe.web import api, pages, recording
from sessionscribe.web.exports import Exports
from sessionscribe.web.security import Guard
from sessionscribe.web.site import Site

STATIC = Path(__file__).parent / "static"


def create_app(site: Site) -> Starlette:
    """Return the application."""
    routes = [
        Route("/", pages.sessions),
        Route("/s/{session}", pages.session),
        Route("/s/{session}/diff", pages.diff),
        Route("/search", pages.search),
        Route("/queue", pages.queue),
        Route("/history", pages.history),
        *([Route("/record", pages.record)] if site.records else []),
        *api.ROUTES,
        *recording.LOCK,
        *(recording.PARTS if site.records else []),
        Mount("/player", StaticFiles(directory=PLAYER)),
        Mount("/static", StaticFiles(directory=STATIC)),
        Mount("/lib", StaticFiles(directory=site.libraries, check_dir=False)),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, rules=site.rules), Middleware(GZipMiddleware, minimum_size=2000)],
        exception_handlers=dict.fromkeys((UserError, HTTPException, ValidationError), pages.failed),
        lifespan=lifespan,
    )
    app.state.site = site
    return app


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Rewrite the exports of edited sessions while the server runs, and once more as it stops."""
    exports: Exports = app.state.site.exports
    writing = asyncio.create_task(exports.keep_writing())
    yield
    writing.cancel()
    exports.write()
