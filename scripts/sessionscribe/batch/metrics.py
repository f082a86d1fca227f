"""Figures for Prometheus."""

from __future__ import annotations

from sessionscribe.batch.report import BatchReport
from sessionscribe.config.settings import Config


def write(report: BatchReport, settings: Config) -> None:
    """Write the metrics file, where the settings ask for one."""
