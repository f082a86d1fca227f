"""Snakemake's logger plugin `sessionscribe`: how far a run is, and what went wrong, for people to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakemake_logger_plugin_sessionscribe.handler import LogHandler

__all__ = ["LogHandler"]


def __getattr__(name: str) -> object:
    """Load the handler when it is asked for: until ``__main__`` is at work, Ctrl-C would be a traceback."""
    if name != "LogHandler":
        raise AttributeError(name)
    from snakemake_logger_plugin_sessionscribe.handler import LogHandler  # noqa: PLC0415

    return LogHandler
