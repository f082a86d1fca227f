"""Executor `aws-batch-warm`: submits as snakemake-executor-plugin-aws-batch does, and keeps models loaded
there.

The project's folder is on an EFS file system (snakemake_executor_plugin_warm/submission.py says why), which
the other plugin cannot mount; nor does it request GPUs or individual times. Its settings are defined here, so
that the plugin is imported only to submit jobs.
"""

# ruff: noqa: UP045 -- Snakemake turns these types into options and knows no `|`

from dataclasses import dataclass
from typing import Optional

from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase

from snakemake_executor_plugin_warm.settings import option
from snakemake_executor_plugin_warm.submission import SHARED_VOLUME, stand_in

__all__ = ["Executor", "ExecutorSettings", "common_settings"]

common_settings = SHARED_VOLUME


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """Options of the executor; on the command line they begin with ``--aws-batch-warm-``."""

    region: Optional[str] = option(None, "Region. Default: that of your AWS configuration")
    job_queue: Optional[str] = option(None, "Queue (name or ARN) of machines with a GPU", required=True)
    cpu_job_queue: Optional[str] = option(
        None, "Queue (name or ARN) for jobs without a model. Default: the same queue"
    )
    file_system: Optional[str] = option(
        None, "EFS file system (fs-…) with the project's folder", required=True
    )
    mount_path: str = option("/sessionscribe", "Where containers mount the file system")
    job_role: Optional[str] = option(None, "ARN of the containers' role")


Executor = stand_in(f"{__name__}.executor", "snakemake-executor-plugin-aws-batch")
