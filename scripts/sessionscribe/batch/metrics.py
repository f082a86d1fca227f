"""Metrics for Prometheus, all derived from files: sessions, the last batch, machines and their cost.

``write`` and ``write_machines`` write files for the node exporter's textfile collector; the web server offers
the same ``figures``. No metric has a session as a label, because there may be thousands.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sessionscribe import __version__
from sessionscribe.batch import machines
from sessionscribe.batch import report as reports
from sessionscribe.batch.report import BatchReport
from sessionscribe.config.settings import Config
from sessionscribe.core.errors import complain, describe
from sessionscribe.manifest.names import slug
from sessionscribe.planning import status
from sessionscribe.planning.plan import Plan
from sessionscribe.runners import costs
from sessionscribe.runners.usage_log import MACHINES, USAGE_LOG, read_events, read_usage

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

MIB = 1 << 20


def write(report: BatchReport, settings: Config, root: Path = Path()) -> None:
    """Write the metrics files to ``batch.metrics``, if that is set; a failure is a line on standard error."""
    if settings.batch.metrics:
        sessions = Counter(row.status for row in status.collect(Plan(settings, root)))
        _write(figures(report, sessions, root), settings, root, "")
        write_machines(settings, root)


def write_machines(settings: Config, root: Path = Path()) -> None:
    """Write which machines that we started are up, to a file of its own; also called during a batch."""
    if not settings.batch.metrics:
        return
    ours = [use for use in machines.used(read_events(root / MACHINES), ()) if use.start_time]
    up = {use.runner: float(use.stop_time is None) for use in ours}
    since = {use.runner: reports.moment(use.start_time).timestamp() for use in ours if use.start_time}
    shown = _Figures(root)
    shown.add("gpu_started_by_us", "Whether a machine that we started was not seen to stop.", up, "runner")
    shown.add("gpu_started_timestamp_seconds", "When we last started it.", since, "runner")
    _write(shown.registry, settings, root, "-machines")


def figures(
    report: BatchReport | None, sessions: Mapping[str, int], root: Path = Path()
) -> CollectorRegistry:
    """Return the metrics of the last batch, if any, and of all sessions (their number by status)."""
    shown = _Figures(root)
    shown.add("build_info", "The program's version.", {__version__: 1}, "version")
    shown.add("sessions", "Sessions by status.", sessions, "status")
    failed = Counter(path.name.split(".")[0] for path in (root / "logs/failed").glob("*/*.json"))
    shown.add("failures", "Jobs that failed and are not done yet.", failed, "rule")
    used, prices = read_usage(root / USAGE_LOG), costs.known_prices(root / costs.PRICES)
    for name, day in (("today", reports.now()[:10]), ("month", reports.now()[:7])):
        spent = {"USD": 0.0, **costs.cost_on(day, used, prices)}
        shown.add(f"cost_{name}", "Cost of machines released in this period (UTC).", spent, "currency")
    runners, _ = costs.sum_up(used, prices)
    heard = {runner: total.audio_s for runner, total in runners.items()}
    shown.add("remote_audio_seconds", "Audio transcribed on other machines so far.", heard, "runner")
    done = (report, *reports.newest_first(root)) if report else reports.newest_first(root)
    ok = next((batch.time.timestamp() for batch in done if batch.ok), 0.0)
    text = "When the last successful batch began; 0: none yet."
    shown.add("batch_last_success_timestamp_seconds", text, ok)
    if report:
        _add_batch(shown, report, root)
    return shown.registry


def _add_batch(shown: _Figures, report: BatchReport, root: Path) -> None:
    done = report.transcription
    shown.add("batch_last_status", "How the last batch ended.", {report.status: 1}, "status")
    for name, text, value in (
        ("timestamp_seconds", "When the last batch began.", report.time.timestamp()),
        ("duration_seconds", "How long the last batch took.", report.performance.total_duration_seconds),
        ("chunks_transcribed", "Chunks that the last batch transcribed.", done.chunks_transcribed),
        ("chunks_failed", "Chunks that failed in the last batch.", done.chunks_failed),
        ("gpu_runtime_seconds", "How long the last batch's machines ran.", report.gpu.runtime_seconds),
    ):
        shown.add(f"batch_last_{name}", text, value)
    left = max(0, report.scan.total_missing_chunks - done.chunks_transcribed)
    shown.add("pending_chunks", "Chunks that were missing after the last batch.", left)
    jobs = _jobs_on_gpus(report, root)
    load = {host: fmean(job["gpu_load"] for job in found) for host, found in jobs.items()}
    shown.add("gpu_load_ratio", "Mean GPU load during jobs of the last batch.", load, "host")
    memory = {host: max(job["peak_gpu_memory_mb"] for job in found) * MIB for host, found in jobs.items()}
    shown.add("gpu_memory_bytes", "Peak GPU memory during the last batch.", memory, "host")
    heat = {host: max(job["gpu_temperature_c"] or 0 for job in found) for host, found in jobs.items()}
    shown.add("gpu_temperature_celsius", "Highest GPU temperature during the last batch.", heat, "host")


def _jobs_on_gpus(report: BatchReport, root: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the usage records of a batch's jobs that know their GPU's load, by machine."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for session in report.sessions:
        for path in (root / "logs/usage" / session).glob("*_chunk.*.json"):
            job = json.loads(path.read_bytes())
            if job.get("gpu_load") is not None and job["started"] >= report.timestamp:
                found[job["host"]].append(job)
    return found


class _Figures:
    """Gauges labelled with the project, as several projects may write to the same folder."""

    def __init__(self, root: Path) -> None:
        from prometheus_client import CollectorRegistry  # noqa: PLC0415 -- few need it

        self.registry, self._project = CollectorRegistry(), root.resolve().name

    def add(self, name: str, text: str, values: float | Mapping[str, float], label: str = "") -> None:
        """Add a gauge; with a label, a value for each of the label's values."""
        from prometheus_client import Gauge  # noqa: PLC0415

        labels = ["project", *([label] if label else [])]
        gauge = Gauge(f"sessionscribe_{name}", text, labels, registry=self.registry)
        for value, number in values.items() if isinstance(values, Mapping) else [("", values)]:
            gauge.labels(self._project, *([value] if label else [])).set(number)


def _write(registry: CollectorRegistry, settings: Config, root: Path, suffix: str) -> None:
    from prometheus_client import write_to_textfile  # noqa: PLC0415

    folder = Path(settings.batch.metrics).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(folder / f"sessionscribe-{slug(root.resolve().name)}{suffix}.prom"), registry)
    except OSError as error:
        complain(describe(error, str(folder)))
