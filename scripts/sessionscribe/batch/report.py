"""What a batch did: ``logs/batch/reports/batch-YYYY-MM-DD-HHMM.json``, for programs such as ``jq``.

The keys and types of the first six sections are a format of others and stay as they are; more may be added.
What is not known is null: a price that nobody has written down, a stop that nobody has seen.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from sessionscribe.core.files import write_text
from sessionscribe.core.text import aligned

REPORTS = Path("logs/batch/reports")
Status = Literal["success", "partial", "failed", "skipped", "locked", "interrupted", "crashed"]
"""``skipped``: there was nothing to do; ``crashed``: it was killed, and the next one wrote its report."""
TIME = "%Y-%m-%dT%H:%M:%SZ"


class Section(BaseModel):
    """A part of the report: ``snake_case`` here, ``camelCase`` in the file; unknown keys are left out."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")


class LockStatus(Section):
    """Whether a recording was going on. ``user_id`` and ``session_id`` say whose."""

    locked: bool = False
    user_id: str | None = None
    session_id: str | None = None


class Scan(Section):
    """What there was to do."""

    sessions_scanned: int = 0
    total_missing_chunks: int = 0


class Gpu(Section):
    """A machine with a GPU, or all of the batch together.

    Attributes:
        was_running: it was up before, so it is left running.
        we_started_it: this batch did.
        start_time: when this batch asked for its start; None where it did not.
        stop_time: when it was seen to be stopped; None where that was not seen, or one of several was not.
        runtime_seconds: from start to stop, or as long as it was used or watched.
        cost_usd: None where a price is unknown, or not in USD.
    """

    was_running: bool = False
    we_started_it: bool = False
    start_time: str | None = None
    stop_time: str | None = None
    runtime_seconds: float = 0.0
    cost_usd: float | None = Field(0.0, alias="costUSD")


class Machine(Gpu):
    """One use of one machine: ``runner`` is its name here, ``machine`` what its provider calls its kind."""

    runner: str
    machine: str = ""
    ready_time: str | None = None


class Transcription(Section):
    """What became of the chunks that were missing; ``total_size_bytes`` is the size of their recordings."""

    chunks_transcribed: int = 0
    chunks_failed: int = 0
    total_size_bytes: int = 0


class Performance(Section):
    """Where the time went, in seconds."""

    total_duration_seconds: float = 0.0
    scan_duration_seconds: float = 0.0
    gpu_startup_seconds: float = 0.0
    transcribe_duration_seconds: float = 0.0
    shutdown_seconds: float = 0.0


class Failure(Section):
    """A step that failed, in this batch or before.

    Attributes:
        output: the file that it should have made.
        key: what determines that file: with another one it is another try.
        attempts: in how many batches it failed, one after the other.
        last_tried: when it was last tried.
        retry_after: until when it is left out; None where the next batch tries it again.
    """

    session: str
    rule: str
    output: str
    key: str
    message: str
    log: str = ""
    attempts: int = 1
    last_tried: str
    retry_after: str | None = None


class BatchReport(Section):
    """The report of one batch."""

    timestamp: str
    status: Status
    skipped: bool = False
    lock_status: LockStatus = LockStatus()
    scan: Scan = Scan()
    gpu: Gpu = Gpu()
    transcription: Transcription = Transcription()
    performance: Performance = Performance()

    schema_version: int = 1
    run_id: str = ""
    profile: str = ""
    reason: str = ""
    """Why it is not a success, in one line."""
    sessions: list[str] = []
    """The sessions that it worked on."""
    completed: list[str] = []
    """Those of them of which nothing is missing now."""
    failures: list[Failure] = []
    gpus: list[Machine] = []
    cost: dict[str, float] = {}
    """By currency, of machines with a price."""
    uploads: int = 0
    """Sessions that were uploaded or published."""
    not_sent: list[str] = []
    """Those that were not yet; the next batch does it."""
    notices: list[str] = []
    """What became of the notices, a line each."""

    @property
    def time(self) -> datetime:
        """When it began."""
        return moment(self.timestamp)

    @property
    def ok(self) -> bool:
        """Whether it went as it should: also where there was nothing to do."""
        return self.status in ("success", "skipped", "locked")

    def summary(self) -> str:
        """Return it as a line for people."""
        done = self.transcription
        parts = [f"batch: {self.status}"]
        if self.sessions:
            parts.append(f"{done.chunks_transcribed} chunks transcribed, {done.chunks_failed} failed")
        if self.gpus:
            cost = " + ".join(f"{amount:.4f} {currency}" for currency, amount in self.cost.items()) or "?"
            parts.append(f"GPU {self.gpu.runtime_seconds:.0f} s, cost {cost}")
        return "; ".join([*parts, *([self.reason] if self.reason else [])])

    def text(self) -> str:
        """Return it as it is written."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"


def now() -> str:
    """Return the present time as reports have it."""
    return datetime.now(UTC).strftime(TIME)


def moment(text: str) -> datetime:
    """Return a report's time; one without a zone is UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def path_for(report: BatchReport, root: Path = Path()) -> Path:
    """Return a name for a new report; of several in one minute the second ends in ``-2``."""
    stem = report.time.astimezone(UTC).strftime("batch-%Y-%m-%d-%H%M")
    names = (stem, *(f"{stem}-{number}" for number in range(2, 1000)))
    return next(path for name in names if not (path := root / REPORTS / f"{name}.json").exists())


def write(report: BatchReport, path: Path) -> None:
    """Write a report atomically."""
    write_text(path, report.text())


def read(path: Path) -> BatchReport | None:
    """Return a report; None where the file is none."""
    try:
        return BatchReport.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def newest_first(root: Path = Path()) -> Iterator[BatchReport]:
    """Yield all reports, the newest first; only as many files are read as are asked for.

    Those of times to come, which a clock that was ahead has written, are left out: nothing newer would count.
    """

    def order(name: str) -> tuple[str, int]:
        stem = name.removesuffix(".json")
        minute, number = stem[: len("batch-2026-11-30-1200")], stem[len("batch-2026-11-30-1200") + 1 :]
        return minute, int(number) if number.isdecimal() else 1

    latest = datetime.now(UTC).strftime("batch-%Y-%m-%d-%H%M~")
    try:
        names = [name for name in os.listdir(root / REPORTS) if "batch-" <= name <= latest]
    except FileNotFoundError:
        return
    for name in sorted(names, key=order, reverse=True):
        if (found := read(root / REPORTS / name)) is not None:
            yield found


def months(root: Path = Path()) -> list[str]:
    """Return the months of which there are reports, the newest first."""
    start = len("batch-")
    names = (path.name for path in (root / REPORTS).glob("batch-*.json"))
    return sorted({name[start : start + len("2026-11")] for name in names}, reverse=True)


def of_month(month: str, root: Path = Path()) -> list[BatchReport]:
    """Return the reports of a month (``YYYY-MM``), the oldest first."""
    found = (read(path) for path in sorted((root / REPORTS).glob(f"batch-{month}-*.json")))
    return sorted((report for report in found if report), key=lambda report: report.time)


def sums(reports: Iterable[BatchReport]) -> dict[str, Any]:
    """Return what batches did and cost together, in all and by day."""
    days = defaultdict[str, list[BatchReport]](list)
    for report in reports:
        days[report.timestamp[:10]].append(report)
    every = [report for found in days.values() for report in found]
    return {**_sum(every), "days": {day: _sum(found) for day, found in days.items()}}


def _sum(reports: Sequence[BatchReport]) -> dict[str, Any]:
    cost = defaultdict[str, float](float)
    for report in reports:
        for currency, amount in report.cost.items():
            cost[currency] = round(cost[currency] + amount, 6)
    gpus, done = [report.gpu for report in reports], [report.transcription for report in reports]
    return {
        "batches": len(reports),
        "failed": sum(not report.ok for report in reports),
        "chunksTranscribed": sum(each.chunks_transcribed for each in done),
        "chunksFailed": sum(each.chunks_failed for each in done),
        "gpuSeconds": round(sum(gpu.runtime_seconds for gpu in gpus), 3),
        "notSeenToStop": sum(gpu.we_started_it and gpu.stop_time is None for gpu in gpus),
        "unpriced": sum(gpu.cost_usd is None for gpu in gpus),
        "cost": dict(cost),
    }


def table(found: Mapping[str, Any]) -> str:
    """Return sums as a text for people: a line a day, and one for all."""
    header = ("day", "batches", "failed", "chunks", "failed", "GPU h", "cost", "not seen to stop")
    days = (_line(day, values) for day, values in found["days"].items())
    return "\n".join(aligned([header, *days, _line("all", found)]))


def _line(name: str, values: Mapping[str, Any]) -> tuple[str, ...]:
    costs = [f"{amount:.4f} {currency}" for currency, amount in sorted(values["cost"].items())]
    counts = (str(values[key]) for key in ("batches", "failed", "chunksTranscribed", "chunksFailed"))
    cost = " + ".join([*costs, *["?"] * bool(values["unpriced"])])
    return name, *counts, f"{values['gpuSeconds'] / 3600:.2f}", cost or "-", str(values["notSeenToStop"])
