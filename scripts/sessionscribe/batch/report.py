"""What a batch did: ``logs/batch/reports/batch-YYYY-MM-DD-HHMM.json``, for programs such as ``jq``.

Other programs rely on the keys and types of the first six sections, so these never change; more may be added.
Whatever is unknown is null: the price of a machine without one, the time of a stop that was not seen.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from sessionscribe.core.files import write_text
from sessionscribe.core.text import aligned, counted

REPORTS = Path("logs/batch/reports")
Status = Literal["success", "partial", "failed", "skipped", "locked", "interrupted", "crashed"]
"""``skipped``: nothing to do; ``crashed``: the batch was killed, and the next one completed its report."""
TIME = "%Y-%m-%dT%H:%M:%SZ"


class Section(BaseModel):
    """A part of a JSON file: ``snake_case`` here, ``camelCase`` in the file; unknown keys are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

    def text(self) -> str:
        """Return the text of the file."""
        return self.model_dump_json(by_alias=True, indent=2) + "\n"

    def write(self, path: Path) -> None:
        """Write the file atomically."""
        write_text(path, self.text())


class LockStatus(Section):
    """Whether a recording was in progress, and whose."""

    locked: bool = False
    user_id: str | None = None
    session_id: str | None = None


class Scan(Section):
    """What was missing."""

    sessions_scanned: int = 0
    total_missing_chunks: int = 0


class Gpu(Section):
    """A machine with a GPU, or all machines of a batch together.

    Attributes:
        was_running: it was up before, so it is left running.
        we_started_it: the batch started it.
        start_time: when the batch asked for its start; None if it did not.
        stop_time: when it was seen to have stopped; None if it (or one of several) was not.
        runtime_seconds: from start to stop, or the time for which it was used.
        cost_usd: None if a price is unknown or not in USD.
    """

    was_running: bool = False
    we_started_it: bool = False
    start_time: str | None = None
    stop_time: str | None = None
    runtime_seconds: float = 0.0
    cost_usd: float | None = Field(0.0, alias="costUSD")


class Machine(Gpu):
    """One use of one machine: ``runner`` is its name here, ``machine`` its type at the provider."""

    runner: str
    machine: str = ""
    ready_time: str | None = None
    stop_asked_time: str | None = None


class Transcription(Section):
    """Chunks made and failed; ``total_size_bytes`` is the size of the recordings of those made."""

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


class StepOf(Section):
    """A step of a session: its rule, its first output, its key."""

    session: str
    rule: str
    output: str
    key: str


class Failure(StepOf):
    """A step that failed, in this batch or before.

    Attributes:
        attempts: in how many consecutive batches it failed; with another key, counting starts again.
        last_tried: when it was last tried.
        retry_after: until when it is skipped; None if the next batch retries it.
    """

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
    """Why it did not succeed, in one line."""
    sessions: list[str] = []
    """Sessions that it worked on."""
    completed: list[str] = []
    """Those that are finished now."""
    failures: list[Failure] = []
    gpus: list[Machine] = []
    cost: dict[str, float] = {}
    """Of machines with a known price, by currency."""
    uploads: int = 0
    """Sessions that were uploaded or published."""
    not_sent: list[str] = []
    """Sessions that could not be; the next batch tries again."""
    notices: list[str] = []
    """Notifications sent or failed, a line each."""

    @property
    def time(self) -> datetime:
        """When it began."""
        return moment(self.timestamp)

    @property
    def ok(self) -> bool:
        """Whether nothing went wrong, even if there was nothing to do."""
        return self.status in ("success", "skipped", "locked")

    def summary(self) -> str:
        """Return the report as a line for people."""
        done = self.transcription
        parts = [f"batch: {self.status}"]
        if self.sessions:
            parts.append(
                f"{counted(done.chunks_transcribed, 'chunk')} transcribed, {done.chunks_failed} failed"
            )
        if self.gpus:
            cost = " + ".join(f"{amount:.4f} {currency}" for currency, amount in self.cost.items()) or "?"
            parts.append(f"GPU {self.gpu.runtime_seconds:.0f} s, cost {cost}")
        return "; ".join([*parts, *([self.reason] if self.reason else [])])


def now() -> str:
    """Return the present time in the format of reports."""
    return datetime.now(UTC).strftime(TIME)


def moment(text: str) -> datetime:
    """Return a time from a report; UTC if it has no zone."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def path_for(report: BatchReport, root: Path = Path()) -> Path:
    """Return the path for a new report; a second one in the same minute ends in ``-2``."""
    stem = report.time.astimezone(UTC).strftime("batch-%Y-%m-%d-%H%M")
    names = (stem, *(f"{stem}-{number}" for number in range(2, 1000)))
    return next(path for name in names if not (path := root / REPORTS / f"{name}.json").exists())


def read(path: Path) -> BatchReport | None:
    """Return a report; None if the file is not a valid one."""
    try:
        return BatchReport.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def newest_first(root: Path = Path()) -> Iterator[BatchReport]:
    """Yield all reports, newest first, reading only as many files as the caller takes.

    Reports from the future are left out: a clock that was ahead wrote them, and they would stay the newest.
    """

    latest = datetime.now(UTC).strftime("batch-%Y-%m-%d-%H%M~")
    names = [path.name for path in (root / REPORTS).glob("batch-*.json") if path.name <= latest]
    for name in sorted(names, key=lambda name: [int(n) for n in re.findall(r"\d+", name)], reverse=True):
        if (found := read(root / REPORTS / name)) is not None:
            yield found


def months(root: Path = Path()) -> list[str]:
    """Return the months (``YYYY-MM``) that have reports, newest first."""
    names = (path.name.removeprefix("batch-") for path in (root / REPORTS).glob("batch-*.json"))
    return sorted({name[: len("2026-11")] for name in names}, reverse=True)


def of_month(month: str, root: Path = Path()) -> list[BatchReport]:
    """Return the reports of a month (``YYYY-MM``), oldest first."""
    found = (read(path) for path in sorted((root / REPORTS).glob(f"batch-{month}-*.json")))
    return sorted((report for report in found if report), key=lambda report: report.time)


def sums(reports: Iterable[BatchReport]) -> dict[str, Any]:
    """Return what batches did and cost, in total and by day."""
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
    """Return sums as a table for people: a line per day, and the total."""
    header = ("day", "batches", "failed", "chunks", "failed", "GPU h", "cost", "not seen to stop")
    days = (_line(day, values) for day, values in found["days"].items())
    return "\n".join(aligned([header, *days, _line("all", found)]))


def _line(name: str, values: Mapping[str, Any]) -> tuple[str, ...]:
    costs = [f"{amount:.4f} {currency}" for currency, amount in sorted(values["cost"].items())]
    counts = (str(values[key]) for key in ("batches", "failed", "chunksTranscribed", "chunksFailed"))
    cost = " + ".join([*costs, *["?"] * bool(values["unpriced"])])
    return name, *counts, f"{values['gpuSeconds'] / 3600:.2f}", cost or "-", str(values["notSeenToStop"])
