"""Snakemake's logger plugin `sessionscribe`: shows the progress and the failures of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakemake_logger_plugin_sessionscribe.handler import LogHandler

__all__ = ["LogHandler"]


def __getattr__(name: str) -> object:
    """Import the handler on first use: ``__main__`` must handle Ctrl-C before that."""
    if name != "LogHandler":
        raise AttributeError(name)
    from snakemake_logger_plugin_sessionscribe.handler import LogHandler  # noqa: PLC0415

    return LogHandler
