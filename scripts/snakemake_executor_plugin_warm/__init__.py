"""Snakemake executor `warm`: jobs that need a model run in workers that keep it loaded (docs/warm.md).

It derives from Snakemake's local executor and hands jobs of rules with a Python `script:` and the resource
`gpu` to long-lived worker processes, which run the same script without starting Python, importing packages
and loading models again.
"""

from snakemake_executor_plugin_warm.executor import Executor, common_settings
from snakemake_executor_plugin_warm.settings import ExecutorSettings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]
