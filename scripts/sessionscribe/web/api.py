"""The API for pages and programs: JSON, audio, pictures, events."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from itertools import count

from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from sessionscribe.batch import report as reports
from sessionscribe.batch.metrics import figures
from sessionscribe.core.errors import UserError
from sessionscribe.formats.pictures import svg
from sessionscribe.web import history, pages, sound
from sessionscribe.web.archive import Page
from sessionscribe.web.edits import Changes, ConflictError
from sessionscribe.web.recording import locks
from sessionscribe.web.site import Site, asked, site_of
from sessionscribe.web.view import Splice, splice

POLL_S, HEARTBEATS = 1.0, 15
MOST_STREAMS = 20
AUDIO = {".flac": "audio/flac", ".m4a": "audio/mp4"}


# One session.


def audio(request: Request) -> Response:
    """Return the audio of a session; browsers request ranges."""
    site = site_of(request)
    file = sound.audio(site.session(request), site.root)
    return FileResponse(file, media_type=AUDIO[file.suffix])


def peaks(request: Request) -> Response:
    """Return the waveform: 20 bytes per second."""
    site = site_of(request)
    return Response(sound.peaks(site.session(request), site.root), media_type="application/octet-stream")


def picture(request: Request) -> Response:
    """Return charts of speakers, talk time and confidence as SVG."""
    site = site_of(request)
    shown = site.archive.page(site.session(request))
    return Response(svg(shown.laid.transcript, site.archive.config.export), media_type="image/svg+xml")


async def edit(request: Request) -> Response:
    """Change a transcript and return the changes of its page."""
    return await run_in_threadpool(_edit, request, await asked(request, Changes))


def _edit(request: Request, changes: Changes) -> Response:
    site = site_of(request)
    name = site.session(request)
    try:
        before, after = site.editor.edit(name, changes)
    except ConflictError as conflict:
        problem = {"error": "Somebody else has changed this transcript."}
        every = Splice(0, sys.maxsize, conflict.page.paragraphs, 0)
        return JSONResponse(problem | _changed(site, name, conflict.page, every), 409)
    site.exports.follow(name)
    return JSONResponse(_changed(site, name, after, splice(before.paragraphs, after.paragraphs)))


def _changed(site: Site, name: str, page: Page, change: Splice) -> dict[str, object]:
    return {
        "base": page.base,
        "start": change.start,
        "stop": change.stop,
        "html": pages.text(change.new),
        "shift": change.shift,
        "speakers": page.laid.transcript.speakers,
        "corrections": [
            {"line": one.line, "state": one.state, "reason": one.reason} for one in page.laid.corrections
        ],
        "can_undo": site.editor.can_undo(name, page.base),
    }


# All sessions.


def sessions(request: Request) -> Response:
    """Return the table of sessions."""
    return JSONResponse([vars(row) for row in site_of(request).archive.statuses()])


def search(request: Request) -> Response:
    """Return the hits of a search."""
    return JSONResponse([vars(hit) for hit in pages.find(request).hits])


def cost(request: Request) -> Response:
    """Return the cost of remote machines, by day, month, runner or session."""
    used = history.used(site_of(request).root, request.query_params.get("by", "day"))
    return JSONResponse({name: vars(total) for name, total in used.items()})


def batches(request: Request) -> Response:
    """Return the reports of a month, the oldest first, and their sums."""
    found, _ = history.batches(site_of(request).root, request.query_params.get("month", ""))
    listed = [report.model_dump(by_alias=True) for report in found]
    return JSONResponse({"sums": reports.sums(found), "reports": listed})


def pending(request: Request) -> Response:
    """Return the work to do."""
    site = site_of(request)
    found = site.archive.pending()
    found.locked = bool(locks(site))
    return JSONResponse(found.model_dump(by_alias=True))


# Runs.


class Start(BaseModel):
    """Sessions to run (empty: all); ``exports``: only write their exports."""

    model_config = ConfigDict(extra="forbid")

    sessions: list[str] = []
    exports: bool = False


def running(request: Request) -> Response:
    """Return the active run, if it was started here."""
    runs = site_of(request).runs
    return JSONResponse({"line": runs.last_line()} if runs.current() else None)


async def run(request: Request) -> Response:
    """Start a run."""
    return await run_in_threadpool(_run, site_of(request), await asked(request, Start))


def _run(site: Site, start: Start) -> Response:
    if not site.archive.plan().sessions.keys() >= set(start.sessions):
        raise HTTPException(404, "There is no such session.")
    return _started(site.runs.run(start.sessions, "export" if start.exports else ""))


def scan(request: Request) -> Response:
    """Look for new recordings."""
    return _started(site_of(request).runs.scan())


def _started(started: bool) -> Response:
    if not started:
        raise HTTPException(409, "Another run is active.")
    return JSONResponse({"started": True}, 202)


def stop(request: Request) -> Response:
    """Stop the run in progress."""
    if not site_of(request).runs.stop():
        raise HTTPException(409, "No run is active.")
    return JSONResponse({"stopped": True}, 202)


# For monitoring, and for live updates of pages.


def metrics(request: Request) -> Response:
    """Return metrics for Prometheus, which must send the token."""
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest  # noqa: PLC0415 -- rarely needed

    archive = site_of(request).archive
    statuses = Counter(row.status for row in archive.statuses())
    found = figures(next(reports.newest_first(archive.root), None), statuses, archive.root)
    return Response(generate_latest(found), media_type=CONTENT_TYPE_LATEST)


async def health(_: Request) -> Response:
    """Confirm that the server is running."""
    return PlainTextResponse("ok")


async def events(request: Request) -> Response:
    """Send an event whenever a session or the run has changed."""
    state = request.app.state
    if getattr(state, "streams", 0) >= MOST_STREAMS:
        raise HTTPException(503, "Too many pages are open.")
    return StreamingResponse(
        _events(request), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


async def _events(request: Request) -> AsyncIterator[str]:
    site, app = site_of(request), request.app.state
    app.streams = getattr(app, "streams", 0) + 1
    seen = ""
    try:
        for number in count():
            if await request.is_disconnected():
                return
            now = await run_in_threadpool(_state, site)
            if now != seen:
                yield f"data: {now}\n\n"
                seen = now
            elif number % HEARTBEATS == 0:
                yield ": still here\n\n"
            await asyncio.sleep(POLL_S)
    finally:
        app.streams -= 1


def _state(site: Site) -> str:
    try:
        state = site.archive.signature()
    except UserError as error:  # such as unreadable settings, which pages report
        state = str(error)
    return json.dumps({"state": state, "line": site.runs.state(), "last": site.runs.last_line()})


ROUTES = [
    Route("/api/sessions", sessions),
    Route("/api/search", search),
    Route("/api/costs", cost),
    Route("/api/reports", batches),
    Route("/api/pending", pending),
    Route("/api/s/{session}/audio", audio),
    Route("/api/s/{session}/peaks", peaks),
    Route("/api/s/{session}/picture.svg", picture),
    Route("/api/s/{session}/edits", edit, methods=["POST"]),
    Route("/api/run", running),
    Route("/api/run", run, methods=["POST"]),
    Route("/api/run/stop", stop, methods=["POST"]),
    Route("/api/scan", scan, methods=["POST"]),
    Route("/events", events),
    Route("/metrics", metrics),
    Route("/healthz", health),
]
