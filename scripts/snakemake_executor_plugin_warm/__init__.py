"""Snakemake executor `warm`: jobs that need a model run in workers that keep it loaded.

A local executor, but for jobs of rules with a Python `script:` and the resource `gpu`: these are handed to
long-lived worker processes, which run the same script without starting Python, importing packages and
loading a model again. docs/warm.md says how it is used and what goes over the wire.

Derives from Snakemake's own local executor, which is no published interface: Snakemake's version is pinned,
and tests/unit/test_snakemake_internals.py guards what is used here.
"""

from snakemake.executors.local import Executor as LocalExecutor
from snakemake.executors.local import common_settings

from snakemake_executor_plugin_warm.executor import WarmExecutor
from snakemake_executor_plugin_warm.settings import ExecutorSettings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]


class Executor(WarmExecutor, LocalExecutor):
    """What Snakemake looks for under this name."""
