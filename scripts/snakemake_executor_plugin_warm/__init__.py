"""Snakemake executor `warm`: jobs that need a model run in workers that keep it loaded (docs/warm.md).

Derives from Snakemake's local executor and hands jobs of rules with a Python `script:` and the resource `gpu`
to long-lived worker processes, which run the same script without starting Python, importing packages and
loading models again.
"""

from snakemake.executors.local import Executor as LocalExecutor
from snakemake.executors.local import common_settings

from snakemake_executor_plugin_warm.executor import WarmExecutor
from snakemake_executor_plugin_warm.settings import ExecutorSettings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]


class Executor(WarmExecutor, LocalExecutor):
    """The class that Snakemake looks for."""
