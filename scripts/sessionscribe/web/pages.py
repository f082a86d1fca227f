"""The pages. Starlette runs plain functions, which may read files, in a thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.templating import Jinja2Templates

from sessionscribe.artifacts.audit import Audit
from sessionscribe.batch import report as reports
from sessionscribe.core.errors import UserError
from sessionscribe.core.text import counted
from sessionscribe.evaluation import diff_report
from sessionscribe.formats.page import ShownParagraph, environment
from sessionscribe.planning.status import SessionStatus
from sessionscribe.runners import costs
from sessionscribe.web import history as past
from sessionscribe.web.recording import locks
from sessionscribe.web.search import Found
from sessionscribe.web.site import site_of
from sessionscribe.web.versions import compare, versions
from sessionscribe.web.view import flags_of


def _everywhere(request: Request) -> dict[str, Any]:
    """Return the variables that all templates need."""
    site = site_of(request)
    return {
        "root": site.prefix,
        "nonce": request.state.nonce,
        "read_only": site.rules.read_only,
        "records": site.records,
    }


def _duration(hours: float) -> str:
    return str(timedelta(seconds=round(3600 * hours)))


_environment = environment(Path(__file__).parent / "templates", Path(diff_report.__file__).parent)
_environment.filters |= {"counted": counted, "money": costs.money, "duration": _duration}
_templates = Jinja2Templates(env=_environment, context_processors=[_everywhere])
page = _templates.TemplateResponse


COLUMNS: dict[str, Callable[[SessionStatus, Mapping[str, float]], Any]] = {
    "session": lambda row, _: row.session,
    "status": lambda row, _: row.status,
    "audit": lambda row, _: row.audit,
    "length": lambda row, _: -row.hours,
    "chunks": lambda row, _: -row.chunks,
    "cost": lambda row, cost: -sum(cost.values()),
    "flags": lambda row, _: (-len(row.failures), -len(row.flags)),
}
"""The columns of the table of sessions, with their sort keys."""


def sessions(request: Request) -> Response:
    """Show all sessions and their state."""
    site, given = site_of(request), request.query_params
    show, sort = given.get("show", ""), given.get("sort", "")
    cost = {name: used.cost for name, used in past.used(site.root, "session").items()}

    def is_wanted(row: SessionStatus) -> bool:
        texts = (row.session, row.status, row.audit, *row.flags, *row.failures)
        return show.casefold() in " ".join(texts).casefold()

    rows = list(filter(is_wanted, site.archive.statuses()))
    if order := COLUMNS.get(sort):
        rows.sort(key=lambda row: order(row, cost.get(row.session, {})))
    context = {"rows": rows, "columns": COLUMNS, "cost": cost, "show": show, "sort": sort}
    return page(request, "sessions.html", context)


def session(request: Request) -> Response:
    """Show a transcript, to read, listen and correct."""
    site = site_of(request)
    name = site.session(request)
    shown = site.archive.page(name)
    transcript = shown.laid.transcript
    path = site.root / f"results/audit/{name}.json"
    audit = Audit.read(path) if path.is_file() else None
    context = {
        "name": name,
        "transcript": transcript,
        "view": shown.view,
        "flags": flags_of(transcript, audit, shown.laid.corrections),
        "audit": audit,
        "base": shown.base,
        "status": next(row for row in site.archive.statuses() if row.session == name),
        "can_undo": site.editor.can_undo(name, shown.base),
    }
    return page(request, "session.html", context)


def text(paragraphs: Sequence[ShownParagraph]) -> str:
    """Return paragraphs as HTML."""
    return _environment.get_template("paragraphs.html").render(
        view={"paragraphs": paragraphs}, read_only=False
    )


def diff(request: Request) -> Response:
    """Show where two versions of a session differ."""
    site, given = site_of(request), request.query_params
    name = site.session(request)
    known = versions(site.archive, name)
    usual = dict(zip("ba", known, strict=False))
    chosen = {found.key: found for found in known}
    before, after = (chosen.get(given.get(side, ""), usual.get(side)) for side in "ab")
    context: dict[str, Any] = {"name": name, "versions": known, "before": before, "after": after}
    if before and after:
        try:
            found = compare(before, after)
        except UserError as error:
            context["problem"] = str(error)
        else:
            context["summary"] = diff_report.summary_lines(found)
            context["paragraphs"] = diff_report.paragraphs(found)
    return page(request, "diff.html", context)


def search(request: Request) -> Response:
    """Show the hits of a search."""
    return page(request, "search.html", {"asked": request.query_params, "found": find(request)})


def find(request: Request) -> Found:
    """Return the hits of the search in a request's query."""
    site, given = site_of(request), request.query_params
    since, until = given.get("from", ""), given.get("until", "")
    among = site.archive.recorded(since, until or "9999") if since or until else None
    return site.index.search(given.get("q", "")[:500], speaker=given.get("speaker", ""), among=among)


def queue(request: Request) -> Response:
    """Show pending work, and controls for runs."""
    site = site_of(request)
    context = {"pending": site.archive.pending(), "locks": locks(site)}
    return page(request, "queue.html", context | {"run": site.runs.state(), "last": site.runs.last_line()})


def history(request: Request) -> Response:
    """Show failures, batches and costs."""
    site, given = site_of(request), request.query_params
    batches, months = past.batches(site.root, given.get("month", ""))
    by = given.get("by", "day")
    context = {
        "failures": past.failures(site.archive),
        "months": months,
        "batches": batches,
        "sums": reports.sums(batches),
        "by": by,
        "ways": past.WAYS,
        "used": past.used(site.root, by),
    }
    return page(request, "history.html", context)


async def record(request: Request) -> Response:
    """Show a page that records."""
    return page(request, "record.html")


async def failed(request: Request, error: Exception) -> Response:
    """Return the error of a request as a page or, below ``/api/``, as JSON."""
    what, code = str(error), 400
    if isinstance(error, HTTPException):
        what, code = error.detail, error.status_code
    elif isinstance(error, ValidationError):
        what, code = error.errors()[0]["msg"], 422
    if request.scope["path"].startswith(f"{site_of(request).prefix}/api/"):
        return JSONResponse({"error": what}, code)
    return page(request, "error.html", {"what": what}, code)
