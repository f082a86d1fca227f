"""Figures for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sessionscribe.batch.report import BatchReport, Machine
from sessionscribe.config.settings import Config


def write(report: BatchReport, settings: Config, root: Path = Path()) -> None:
    """Write the metrics file, where the settings ask for one."""


def write_machines(machines: Iterable[Machine], settings: Config, root: Path = Path()) -> None:
    """Write which machines that we started are up."""
