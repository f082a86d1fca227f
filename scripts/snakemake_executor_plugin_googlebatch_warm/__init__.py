"""Executor `googlebatch-warm`: submits to Google Batch as its plugin does, keeps models loaded there.

The project's folder is on an NFS share (snakemake_executor_plugin_warm/submission.py says why), which
snakemake-executor-plugin-googlebatch cannot mount; it also takes no time, memory or GPU from the rules, and a
failed job in a container for a good one. The settings stand here so that neither a dry run nor any other
start of Snakemake needs it.
"""

# ruff: noqa: UP045 -- Snakemake makes an option of it and knows no `|`

from dataclasses import dataclass, field
from typing import Optional

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase

from snakemake_executor_plugin_warm.settings import option
from snakemake_executor_plugin_warm.submission import SHARED_VOLUME, stand_in

__all__ = ["Executor", "ExecutorSettings", "common_settings"]

common_settings = SHARED_VOLUME


def parse_labels(given: str) -> dict[str, str]:
    """Return the labels of `name=value` entries between commas.

    Raises:
        WorkflowError: an entry is none.
    """
    entries = [entry.strip() for entry in given.split(",") if entry.strip()]
    if wrong := next((entry for entry in entries if entry.find("=") < 1), None):
        raise WorkflowError(f"googlebatch-warm-labels: `{wrong}` is not name=value, as in team=a,stage=b")
    return dict(entry.split("=", 1) for entry in entries)


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """Options of the executor; on the command line they begin with ``--googlebatch-warm-``."""

    project: Optional[str] = option(None, "Google Cloud project", required=True)
    region: Optional[str] = option(None, "Region, as europe-west4", required=True)
    share: Optional[str] = option(
        None, "NFS share with the project's folder, as 10.0.0.2:/share", required=True
    )
    mount_path: str = option("/sessionscribe", "Where machines mount it")
    machine_type: str = option("n1-standard-4", "Machine type of jobs with a model")
    gpu_type: str = option("nvidia-tesla-t4", "GPU added to that machine type")
    cpu_machine_type: str = option("e2-standard-4", "Machine type of jobs without a model")
    boot_disk_gb: int = option(50, "Boot disk; the image must fit on it twice")
    network: Optional[str] = option(None, "Network of the machines")
    subnetwork: Optional[str] = option(None, "Subnetwork of the machines")
    service_account: Optional[str] = option(None, "Service account of the machines")
    labels: dict[str, str] = field(
        default_factory=dict,
        metadata={
            "help": "Labels of the jobs, as team=a,stage=b",
            "parse_func": parse_labels,
            "unparse_func": lambda labels: ",".join(f"{name}={value}" for name, value in labels.items()),
        },
    )


Executor = stand_in(f"{__name__}.executor", "snakemake-executor-plugin-googlebatch")
