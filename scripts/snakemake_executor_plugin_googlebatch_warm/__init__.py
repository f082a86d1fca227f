"""Executor `googlebatch-warm`: submits to Google Batch as its plugin does, and keeps models loaded there.

The project's folder is on an NFS share (snakemake_executor_plugin_warm/submission.py says why), which
snakemake-executor-plugin-googlebatch cannot mount; it also ignores the time, memory and GPU of rules, and
takes a failed job in a container for a successful one. Its settings are defined here, so that the plugin is
imported only to submit jobs.
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
    """Options of the executor; on the command line they begin with ``--googlebatch-warm-``."""

    project: Optional[str] = option(None, "Google Cloud project", required=True)
    region: Optional[str] = option(None, "Region, such as europe-west4", required=True)
    share: Optional[str] = option(
        None, "NFS share with the project's folder, such as 10.0.0.2:/share", required=True
    )
    mount_path: str = option("/sessionscribe", "Where machines mount the share")
    machine_type: str = option("n1-standard-4", "Machine type of jobs with a model")
    gpu_type: str = option("nvidia-tesla-t4", "GPU of machines for jobs with a model")
    cpu_machine_type: str = option("e2-standard-4", "Machine type of jobs without a model")
    boot_disk_gb: int = option(50, "Size of the boot disk, on which the image must fit twice")
    network: Optional[str] = option(None, "Network of the machines")
    subnetwork: Optional[str] = option(None, "Subnetwork of the machines")
    service_account: Optional[str] = option(None, "Service account of the machines")


Executor = stand_in(f"{__name__}.executor", "snakemake-executor-plugin-googlebatch")
