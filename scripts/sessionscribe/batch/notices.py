"""Notifications about batches, by Apprise: what went wrong or is finished, where, and what to do next.

Addresses contain passwords, so they come from a file outside the project or from the environment, and no
message, log or report shows more of them than the name of the service. Nothing of a transcript is sent.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

from sessionscribe.batch import report as reports
from sessionscribe.batch.report import BatchReport
from sessionscribe.config.settings import Config, Event, Notify
from sessionscribe.core.errors import SHOWN, UserError, complain, visible
from sessionscribe.core.text import listed
from sessionscribe.runners import costs
from sessionscribe.runners.usage_log import USAGE_LOG, read_usage

ADDRESSES = "SESSIONSCRIBE_NOTIFY"
"""The environment variable with more addresses, separated by white space."""
LIMIT_S = 10.0
"""How long sending one message to all addresses may take."""
SENT = "sent: "
"""Prefix of the line in a report that lists the events that were sent."""


@dataclass(frozen=True)
class Notice:
    """An event to report: its kind, what happened, and the next command."""

    kind: Event
    what: str
    next: str = ""

    def __str__(self) -> str:
        return f"{self.what}\n  Next: {self.next}" if self.next else self.what


@dataclass(frozen=True)
class Address:
    """Where notifications go; ``place`` and ``kind`` (the service's name) reveal no secret."""

    place: str
    kind: str
    service: Any  # of Apprise


def notify(report: BatchReport, settings: Config, root: Path = Path()) -> None:
    """Send notifications about a batch, and list in ``report.notices`` what was sent.

    If one cannot be sent, that is a line there and on standard error, and nothing else.
    """
    options = settings.notify
    earlier = _earlier(report, root)
    since = datetime.now(UTC) - timedelta(hours=options.interval_hours)
    lately = set().union(*(_kinds_sent(before) for before in earlier if before.time >= since))
    wanted = set(options.events) - lately
    due = [notice for notice in _events(report, earlier, options, root) if notice.kind in wanted]
    report.notices += _deliver(due, options, root)


def notify_of_silence(settings: Config, root: Path = Path()) -> str:
    """Send a notification if no batch has succeeded for too long; return its text, or "".

    A batch that does not run cannot report that, so `sessionscribe batch check` does, in a second timer.
    """
    options = settings.notify
    last = next((report for report in reports.newest_first(root) if report.ok), None)
    if last is not None and datetime.now(UTC) - last.time < timedelta(hours=options.silent_hours):
        return ""
    what = f"No batch has succeeded {f'since {last.timestamp}' if last else 'yet'}."
    if "no_runs" in options.events:
        _deliver([Notice("no_runs", what, "sessionscribe batch check")], options, root)
    return what


def _deliver(notices: Sequence[Notice], options: Notify, root: Path) -> list[str]:
    """Send notifications and show the problems; return a line for each message sent and each problem."""
    if not notices:
        return []
    addresses, problems = read_addresses(options)
    lines, host, project = [], socket.gethostname(), root.resolve()
    for part in [notices] if options.digest else [[notice] for notice in notices]:
        title = f"sessionscribe, {visible(project.name)} on {host}: {part[0].what}"
        body = "\n\n".join([*map(str, part), f"Project {visible(str(project))} on {host}"])
        failed = send(addresses, title, body)
        problems += failed
        if len(failed) < len(addresses):
            lines.append(f"{SENT}{', '.join(notice.kind for notice in part)}")
    for problem in problems:
        complain(problem)
    return lines + [str(problem) for problem in problems]


def send(addresses: Sequence[Address], title: str, body: str) -> list[UserError]:
    """Send a message to all addresses simultaneously; return the problems."""
    failed = {address.place for address in addresses}

    def send_one(address: Address) -> None:
        if address.service.notify(title=title, body=body):
            failed.discard(address.place)

    threads = [threading.Thread(target=send_one, args=(each,), daemon=True) for each in addresses]
    until = time.monotonic() + LIMIT_S
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    hint = "Check the address and its server with `sessionscribe batch check --notify`"
    return [
        UserError(f"the notification by {address.kind} was not delivered", where=address.place, hint=hint)
        for address in addresses
        if address.place in failed
    ]


def read_addresses(options: Notify) -> tuple[list[Address], list[UserError]]:
    """Return the addresses for notifications, and the problems with invalid ones."""
    path = Path(options.urls_file).expanduser()
    lines: list[tuple[str, str]] = []
    problems = []
    try:
        text = path.read_text(encoding="utf-8")
        lines = [(f"{path}, line {n}", line.strip()) for n, line in enumerate(text.splitlines(), 1)]
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        problems.append(
            UserError(f"cannot be read ({error})", where=path, hint="Save it as readable UTF-8 text")
        )
    given = os.environ.get(ADDRESSES, "").split()
    lines += [(f"{ADDRESSES}, address {n}", url) for n, url in enumerate(given, 1)]
    wanted = [(place, url) for place, url in lines if url and not url.startswith("#")]
    if not wanted:
        return [], problems
    import apprise  # noqa: PLC0415 -- takes a quarter of a second

    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it logs addresses
    asset = apprise.AppriseAsset(storage_mode=apprise.PersistentStoreMode.MEMORY)
    found = []
    for place, url in wanted:
        service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
        if service is None:
            hint = "Write it as Apprise's documentation says, such as `mailto://user:password@example.org`"
            problems.append(UserError("is not an address that Apprise knows", where=place, hint=hint))
        else:
            found.append(Address(place, str(service.service_name), service))
    return found, problems


def _events(
    report: BatchReport, earlier: Iterable[BatchReport], options: Notify, root: Path
) -> Iterator[Notice]:
    """Yield the events of a batch, problems first."""
    done, gpu = report.transcription, report.gpu
    if done.chunks_failed or report.status in ("failed", "partial", "crashed"):
        lines = [f"The batch ended as `{report.status}`."]
        if done.chunks_failed:
            tried = done.chunks_failed + done.chunks_transcribed
            lines = [f"{done.chunks_failed} of {tried} chunks failed."]
        if failed := _some({f"{each.session} ({each.rule})": None for each in report.failures}):
            lines.append(f"Failed: {failed}.")  # without the reason, which may quote the transcript
        elif report.reason:
            lines.append(f"{report.reason.rstrip('.')}.")
        yield Notice("failed", " ".join(lines), "sessionscribe status")
    ours = [machine for machine in report.gpus if machine.we_started_it]
    names = _some(machine.runner for machine in ours) or "A machine"
    minutes = gpu.runtime_seconds / 60
    if gpu.we_started_it and gpu.stop_time is None:
        names = _some(machine.runner for machine in ours if machine.stop_time is None) or names
        what = f"{names} was started but not seen to stop, so it may still cost money."
        yield Notice("stuck_gpu", what, "check your provider's console, and stop the machine there")
    elif gpu.we_started_it and minutes > options.gpu_minutes:
        what = f"{names} ran for {minutes:.0f} min (limit: {options.gpu_minutes:g}) and has stopped."
        yield Notice("stuck_gpu", what, "sessionscribe status --cost")
    used, prices = read_usage(root / USAGE_LOG), costs.known_prices(root / costs.PRICES)
    for currency, amount in costs.cost_on(reports.now()[:10], used, prices).items():
        if amount > options.cost_per_day:
            what = f"Machines have cost {amount:.2f} {currency} today (limit: {options.cost_per_day:g})."
            yield Notice("high_cost", what, "sessionscribe status --cost")
    if finished := _finished(report, earlier):
        what = (
            f"{len(finished)} session{'s are' if len(finished) > 1 else ' is'} finished: {_some(finished)}."
        )
        yield Notice("session_complete", what, "see results/export/")


def _finished(report: BatchReport, earlier: Iterable[BatchReport]) -> list[str]:
    """Return the sessions finished since the last notification about finished sessions."""
    untold = takewhile(lambda before: "session_complete" not in _kinds_sent(before), earlier)
    return list(dict.fromkeys(name for each in (report, *untold) for name in each.completed))


def _earlier(report: BatchReport, root: Path) -> list[BatchReport]:
    """Return the reports of the week before this one, newest first."""
    since = report.time - timedelta(days=7)
    recent = takewhile(lambda before: before.time >= since, reports.newest_first(root))
    return [before for before in recent if before.run_id != report.run_id]


def _kinds_sent(report: BatchReport) -> set[str]:
    sent = (line.removeprefix(SENT) for line in report.notices if line.startswith(SENT))
    return {kind for line in sent for kind in line.split(", ")}


def _some(names: Iterable[str]) -> str:
    return listed([visible(name) for name in names], SHOWN)
