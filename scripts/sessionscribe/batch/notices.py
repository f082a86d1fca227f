"""Tell people of a batch that needs them."""

from __future__ import annotations

from sessionscribe.batch.report import BatchReport
from sessionscribe.config.settings import Config


def notify(report: BatchReport, settings: Config) -> None:
    """Send what a report gives cause for; what becomes of it is noted in ``report.notices``."""
