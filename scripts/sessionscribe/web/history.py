"""Failures, batches, and the cost of remote machines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sessionscribe.batch import report as reports
from sessionscribe.batch.report import BatchReport
from sessionscribe.core.text import harmless
from sessionscribe.planning import status
from sessionscribe.planning.status import Failed
from sessionscribe.runners import costs
from sessionscribe.runners.costs import Sum
from sessionscribe.runners.usage_log import USAGE_LOG, read_usage
from sessionscribe.web.archive import Archive
from sessionscribe.web.runs import last_lines

WAYS = ("day", "month", "runner", "session")
TAIL_LINES = 15


@dataclass(frozen=True)
class Failure:
    """An error message, its sessions, and the end of the job's log."""

    message: str
    sessions: list[str]
    log: str
    tail: str


def failures(archive: Archive) -> list[Failure]:
    """Return unresolved failures; one that several sessions share is listed once."""
    found: dict[Failed, list[str]] = {}
    sessions = archive.plan().sessions
    for row in archive.statuses():
        for one in status.failed(archive.root, sessions[row.session]) if row.failures else ():
            found.setdefault(one, []).append(row.session)
    return [
        Failure(one.message, names, one.log, _tail(archive.root, one.log)) for one, names in found.items()
    ]


def _tail(root: Path, log: str) -> str:
    """Return the last lines of a log below `logs/`; "" if there is none."""
    path = (root / log).resolve()
    if not log or not path.is_relative_to((root / "logs").resolve()):
        return ""
    return "\n".join(map(harmless, last_lines(path)[-TAIL_LINES:]))


def batches(root: Path, month: str) -> tuple[list[BatchReport], list[str]]:
    """Return the reports of a month (default: the latest), and all months with reports."""
    months = reports.months(root)
    chosen = month if month in months else next(iter(months), "")
    return (reports.of_month(chosen, root) if chosen else []), months


def used(root: Path, by: str) -> dict[str, Sum]:
    """Return the use of remote machines by day or month (of their end, UTC), runner or session."""
    records, prices = read_usage(root / USAGE_LOG), costs.known_prices(root / costs.PRICES)
    if by in ("runner", "session"):
        runners, sessions = costs.sum_up(records, prices)
        return dict(sorted((runners if by == "runner" else sessions).items()))
    length = len("2026-11" if by == "month" else "2026-11-30")
    periods, _ = costs.sum_up(records, prices, key=lambda record: record["stop"][:length])
    return dict(sorted(periods.items(), reverse=True))
