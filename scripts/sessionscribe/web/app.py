"""The pages and what they ask for."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from anyio import to_thread
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from sessionscribe.artifacts.audit import Audit
from sessionscribe.batch import report as reports
from sessionscribe.batch.metrics import figures
from sessionscribe.batch.report import BatchReport
from sessionscribe.batch.scan import PendingJobs, pending_jobs
from sessionscribe.core.errors import UserError
from sessionscribe.formats.page import PLAYER, environment, view
from sessionscribe.formats.pictures import svg
from sessionscribe.runners import costs
from sessionscribe.runners.usage_log import USAGE_LOG
from sessionscribe.web import sound
from sessionscribe.web.archive import Archive, Page
from sessionscribe.web.edits import ConflictError, Editor
from sessionscribe.web.edits import Request as EditRequest
from sessionscribe.web.recording import LockApi, Recordings
from sessionscribe.web.runs import Runs
from sessionscribe.web.search import Index
from sessionscribe.web.security import Guard, Rules
from sessionscribe.web.view import flags_of

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

HERE = Path(__file__).parent
HEARTBEAT_S = 1.0
MOST_STREAMS = 20
Made = TypeVar("Made")


@dataclass(frozen=True)
class Site:
    """What the pages work on; with ``records`` there is one that records."""

    archive: Archive
    editor: Editor
    index: Index
    runs: Runs
    rules: Rules
    libraries: Path
    records: bool = False

    async def ask(self, work: Callable[..., Made], *given: Any, **named: Any) -> Made:
        """Do work in a thread: it reads files, and the event loop must not wait for them."""
        return await to_thread.run_sync(partial(work, *given, **named))


def create_app(site: Site) -> Starlette:
    """Return the application."""
    templates = Jinja2Templates(env=environment(HERE / "templates"))
    pages = Pages(site, templates)
    routes = [
        Route("/", pages.sessions),
        Route("/rows", pages.rows),
        Route("/s/{session}", pages.session),
        Route("/search", pages.search),
        Route("/queue", pages.queue),
        Route("/history", pages.history),
        Route("/metrics", pages.metrics),
        Route("/healthz", pages.health),
        Route("/favicon.ico", pages.icon),
        Route("/events", pages.events),
        Route("/api/sessions", pages.api_sessions),
        Route("/api/search", pages.api_search),
        Route("/api/costs", pages.api_costs),
        Route("/api/reports", pages.api_reports),
        Route("/api/pending", pages.api_pending),
        Route("/api/s/{session}/audio", pages.audio),
        Route("/api/s/{session}/peaks", pages.peaks),
        Route("/api/s/{session}/picture.svg", pages.picture),
        Route("/api/s/{session}/edits", pages.edit, methods=["POST"]),
        Route("/api/run", pages.running),
        Route("/api/run", pages.run, methods=["POST"]),
        Route("/api/run/stop", pages.stop, methods=["POST"]),
        *pages.lock.routes(),
        *(pages.recorder() if site.records else ()),
        Mount("/player", StaticFiles(directory=PLAYER)),
        Mount("/static", StaticFiles(directory=HERE / "static")),
        Mount("/lib", StaticFiles(directory=site.libraries, check_dir=False)),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, rules=site.rules), Middleware(GZipMiddleware, minimum_size=2000)],
        exception_handlers={UserError: pages.user_error, HTTPException: pages.http_error},
    )


class Pages:
    """An endpoint for each page and each thing that a page asks for."""

    def __init__(self, site: Site, templates: Jinja2Templates) -> None:
        self.site, self.templates = site, templates
        self.lock = LockApi(site.archive)
        self._streams = 0

    def _render(self, request: Request, template: str, status_code: int = 200, **context: Any) -> Response:
        context |= {"nonce": request.state.nonce, "read_only": self.site.rules.read_only}
        context["records"] = self.site.records
        return self.templates.TemplateResponse(request, template, context, status_code)

    def recorder(self) -> list[Route]:
        """Return the page that records, and where it sends what it has recorded."""
        recordings = Recordings(self.site.archive, self.site.runs.arguments)
        return [Route("/record", self.record), *recordings.routes()]

    async def record(self, request: Request) -> Response:
        """Show a page that records."""
        return self._render(request, "record.html")

    async def sessions(self, request: Request) -> Response:
        """Show all sessions and where they stand."""
        return self._render(request, "sessions.html", **await self._table(request))

    async def rows(self, request: Request) -> Response:
        """Show the rows of that table again."""
        return self._render(request, "rows.html", **await self._table(request))

    async def _table(self, request: Request) -> dict[str, Any]:
        rows = await self.site.ask(self.site.archive.statuses)
        wanted = request.query_params.get("show", "").casefold()
        if wanted:
            rows = [
                row
                for row in rows
                if wanted
                in " ".join((row.session, row.status, row.audit, *row.flags, *row.failures)).casefold()
            ]
        run = await self.site.ask(self.site.runs.current)
        return {"rows": rows, "show": request.query_params.get("show", ""), "run": run}

    async def session(self, request: Request) -> Response:
        """Show a transcript, to read, hear and mend."""
        name = await self._name(request)
        return self._render(request, "session.html", **await self.site.ask(self._session, name))

    def _session(self, name: str) -> dict[str, Any]:
        page = self.site.archive.page(name)
        transcript = page.laid.transcript
        path = self.site.archive.root / f"results/audit/{name}.json"
        audit = Audit.read(path) if path.is_file() else None
        return {
            "name": name,
            "transcript": transcript,
            "view": view(transcript),
            "flags": flags_of(transcript, audit, page.laid.corrections),
            "audit": audit,
            "base": page.base,
            "status": next(row for row in self.site.archive.statuses() if row.session == name),
            "can_undo": self.site.editor.can_undo(name, page.base),
        }

    async def search(self, request: Request) -> Response:
        """Show where words are said."""
        given = request.query_params
        hits = await self._hits(request)
        return self._render(
            request,
            "search.html",
            hits=hits,
            missing=await self.site.ask(self._missing),
            asked=given.get("q", ""),
            speaker=given.get("speaker", ""),
        )

    async def _hits(self, request: Request) -> list[Any]:
        given = request.query_params
        return await self.site.ask(
            self._search,
            given.get("q", "")[:500],
            speaker=given.get("speaker", ""),
            session=given.get("session", ""),
        )

    def _missing(self) -> int:
        return self.site.index.missing(list(self.site.archive.plan().sessions))

    def _search(self, text: str, speaker: str, session: str) -> list[Any]:
        sessions = list(self.site.archive.plan().sessions)
        return self.site.index.search(text, sessions, speaker=speaker, session=session)

    async def queue(self, request: Request) -> Response:
        """Show what there is to do, and start and stop it."""
        run = await self.site.ask(self.site.runs.current)
        return self._render(
            request,
            "queue.html",
            pending=await self.site.ask(self._pending),
            locks=await self.site.ask(self._locks),
            run=run,
            line=self.site.runs.last_line(),
        )

    def _pending(self) -> PendingJobs:
        """Return what is to do, in the order in which a batch would."""
        archive = self.site.archive
        last = next(reports.newest_first(archive.root), None)
        return pending_jobs(archive.plan(), last.failures if last else (), archive.config.batch)

    def _locks(self) -> list[str]:
        """Return why batches do nothing now."""
        try:
            return [str(held) for held in self.lock.batch_lock().held()]
        except UserError as error:
            return [str(error)]

    async def history(self, request: Request) -> Response:
        """Show what failed, and what machines have cost."""
        rows = await self.site.ask(self.site.archive.statuses)
        batches, months = await self.site.ask(self._batches, request.query_params.get("month", ""))
        return self._render(
            request,
            "history.html",
            failed=[row for row in rows if row.failures],
            days=await self.site.ask(_days),
            batches=batches,
            months=months,
            sums=reports.sums(batches),
        )

    def _batches(self, month: str) -> tuple[list[BatchReport], list[str]]:
        """Return the reports of a month (one that has none: of the last), and the months that have some."""
        root = self.site.archive.root
        months = reports.months(root)
        chosen = month if month in months else next(iter(months), "")
        return (reports.of_month(chosen, root) if chosen else []), months

    async def health(self, _: Request) -> Response:
        """Say that the server is there."""
        return PlainTextResponse("ok")

    async def icon(self, _: Request) -> Response:
        """Return the icon."""
        return FileResponse(HERE / "static/icon.svg", media_type="image/svg+xml")

    async def api_sessions(self, _: Request) -> Response:
        """Return the table of sessions."""
        rows = await self.site.ask(self.site.archive.statuses)
        return JSONResponse([vars(row) for row in rows])

    async def api_search(self, request: Request) -> Response:
        """Return where words are said."""
        return JSONResponse([vars(hit) for hit in await self._hits(request)])

    async def api_costs(self, _: Request) -> Response:
        """Return what machines elsewhere have cost, by day."""
        return JSONResponse(await self.site.ask(_days))

    async def api_reports(self, request: Request) -> Response:
        """Return the reports of a month, the oldest first, and their sums."""
        batches, _ = await self.site.ask(self._batches, request.query_params.get("month", ""))
        found = [report.model_dump(by_alias=True) for report in batches]
        return JSONResponse({"sums": reports.sums(batches), "reports": found})

    async def metrics(self, _: Request) -> Response:
        """Return figures for Prometheus, which shows the token."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest  # noqa: PLC0415 -- few need it

        return Response(
            await self.site.ask(lambda: generate_latest(self._figures())), media_type=CONTENT_TYPE_LATEST
        )

    def _figures(self) -> CollectorRegistry:
        archive = self.site.archive
        sessions = Counter(row.status for row in archive.statuses())
        return figures(next(reports.newest_first(archive.root), None), sessions, archive.root)

    async def audio(self, request: Request) -> Response:
        """Return what is to be heard of a session; browsers ask for parts of it."""
        file = await self.site.ask(sound.audio, await self._name(request), self.site.archive.root)
        if file is None:
            raise HTTPException(404, "The converted audio is not here.")
        kind = {".flac": "audio/flac", ".m4a": "audio/mp4"}[file.suffix]
        return FileResponse(file, media_type=kind)

    async def peaks(self, request: Request) -> Response:
        """Return the peaks of the waveform, a byte each."""
        found = await self.site.ask(sound.peaks, await self._name(request), self.site.archive.root)
        if found is None:
            raise HTTPException(404, "The converted audio is not here.")
        return Response(found, media_type="application/octet-stream")

    async def picture(self, request: Request) -> Response:
        """Return who speaks when and how much, and how sure the words are."""
        page = await self.site.ask(self.site.archive.page, await self._name(request))
        drawn = await self.site.ask(svg, page.laid.transcript, self.site.archive.config.export)
        return Response(drawn, media_type="image/svg+xml")

    async def edit(self, request: Request) -> Response:
        """Change a transcript, and return it as it is then."""
        name = await self._name(request)
        try:
            wanted = EditRequest.model_validate_json(await request.body())
        except ValidationError as error:
            return JSONResponse({"error": str(error.errors()[0]["msg"])}, 422)
        try:
            page = await self.site.ask(self.site.editor.edit, name, wanted)
        except ConflictError as conflict:
            return JSONResponse(
                {"error": "Somebody else has changed this transcript."} | self._changed(name, conflict.page),
                409,
            )
        return JSONResponse(self._changed(name, page))

    def _changed(self, name: str, page: Page) -> dict[str, Any]:
        html = self.templates.get_template("paragraphs.html").render(
            view=view(page.laid.transcript), read_only=False
        )
        states = [
            {"line": one.line, "state": one.state, "reason": one.reason} for one in page.laid.corrections
        ]
        return {
            "base": page.base,
            "html": html,
            "speakers": page.laid.transcript.speakers,
            "corrections": states,
            "can_undo": self.site.editor.can_undo(name, page.base),
        }

    async def api_pending(self, _: Request) -> Response:
        """Return what is to do."""
        found = await self.site.ask(self._pending)
        found.locked = bool(await self.site.ask(self._locks))
        return JSONResponse(found.model_dump(by_alias=True))

    async def running(self, _: Request) -> Response:
        """Return the run that was started here, if it is at work."""
        run = await self.site.ask(self.site.runs.current)
        return JSONResponse({"sessions": run.sessions, "line": run.line} if run else None)

    async def run(self, request: Request) -> Response:
        """Start a run of all sessions, or of some."""
        given = await self._json(request)
        names, known = given.get("sessions", []), (await self.site.ask(self.site.archive.plan)).sessions
        if not isinstance(names, list) or not all(isinstance(name, str) and name in known for name in names):
            raise HTTPException(404, "There is no such session.")
        stage = "export" if given.get("exports") is True else ""
        if not await self.site.ask(self.site.runs.start, names, stage):
            return JSONResponse({"error": "Another run is at work."}, 409)
        return JSONResponse({"started": True}, 202)

    async def stop(self, request: Request) -> Response:
        """Stop the run that was started here."""
        stopped = await self.site.ask(self.site.runs.stop)
        return JSONResponse({"stopped": stopped}, 202 if stopped else 409)

    async def events(self, request: Request) -> Response:
        """Send an event whenever a session or the run has changed."""
        if self._streams >= MOST_STREAMS:
            raise HTTPException(503, "Too many pages are open.")
        return StreamingResponse(self._events(request), media_type="text/event-stream")

    async def _events(self, request: Request) -> AsyncIterator[str]:
        self._streams += 1
        seen: tuple[object, ...] = ()
        try:
            while not await request.is_disconnected():
                signature = await self.site.ask(self.site.archive.signature)
                run = await self.site.ask(self.site.runs.current)
                now = (signature, run and run.line)
                if now != seen:
                    seen, line = now, run.line if run else ""
                    yield f"data: {json.dumps({'state': signature, 'running': bool(run), 'line': line})}\n\n"
                else:
                    yield ": still here\n\n"
                await asyncio.sleep(HEARTBEAT_S)
        finally:
            self._streams -= 1

    async def user_error(self, request: Request, error: Exception) -> Response:
        """Say what a user can do something about."""
        assert isinstance(error, UserError)
        return self._failed(request, str(error), 400)

    async def http_error(self, request: Request, error: Exception) -> Response:
        """Say that something is not there, or may not be."""
        assert isinstance(error, HTTPException)
        return self._failed(request, str(error.detail), error.status_code)

    def _failed(self, request: Request, what: str, code: int) -> Response:
        if request.url.path.startswith("/api/"):
            return JSONResponse({"error": what}, code)
        return self._render(request, "error.html", code, what=what)

    async def _name(self, request: Request) -> str:
        """Return the session of an address, if the manifest has it."""
        name = str(request.path_params["session"])
        if await self.site.ask(self.site.archive.session, name) is None:
            raise HTTPException(404, "There is no such session.")
        return name

    async def _json(self, request: Request) -> Mapping[str, Any]:
        try:
            given = await request.json()
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise HTTPException(400, "This is no JSON object.")
        return given


def _days() -> list[dict[str, Any]]:
    """Return hours and cost of machines elsewhere, for each day on which one was used."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in costs.read_usage(USAGE_LOG):
        found.setdefault(str(record["start"])[:10], []).append(record)
    prices, days = costs.known_prices(costs.PRICES), []
    for day, records in sorted(found.items()):
        total: Counter[str] = Counter()
        for spent in costs.sum_up(records, prices)[0].values():
            total.update(spent.cost)
        days.append({"day": day, "hours": sum(one["wall_s"] for one in records) / 3600, "cost": dict(total)})
    return days
