"""Executor `kubernetes-warm`: submits to Kubernetes as its plugin does, and keeps models loaded in a pod.

The project's folder is on a persistent volume (snakemake_executor_plugin_warm/submission.py says why). The
settings are those of snakemake-executor-plugin-kubernetes; they are defined here, so that the plugin is
imported only to submit jobs.
"""

# ruff: noqa: UP045 -- Snakemake turns these types into options and knows no `|`

from dataclasses import dataclass, field
from typing import NamedTuple, Optional

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase

from snakemake_executor_plugin_warm.settings import option
from snakemake_executor_plugin_warm.submission import SHARED_VOLUME, stand_in

__all__ = ["Executor", "ExecutorSettings", "common_settings"]

common_settings = SHARED_VOLUME


class Volume(NamedTuple):
    """A persistent volume claim and its mount point."""

    name: str
    path: str


def parse_volumes(given: list[str]) -> list[Volume]:
    """Return the volumes in `claim:/path` entries.

    Raises:
        WorkflowError: an entry is not of this form.
    """
    volumes = [Volume(*entry.split(":")) for entry in given if entry.count(":") == 1]
    if len(volumes) != len(given):
        raise WorkflowError(f"kubernetes-warm-persistent-volumes: {given} is not a list of claim:/path")
    return volumes


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """Options of the executor; on the command line they begin with ``--kubernetes-warm-``."""

    namespace: str = option("default", "Namespace of the jobs")
    persistent_volumes: list[Volume] = field(
        default_factory=list,
        metadata={
            "help": "Volumes of each pod, as claim:/path; the project's folder is on one of them",
            "parse_func": parse_volumes,
            "unparse_func": lambda volumes: [f"{volume.name}:{volume.path}" for volume in volumes],
            "nargs": "+",
        },
    )
    service_account_name: Optional[str] = option(None, "Service account of the pods")
    cpu_scalar: float = option(0.95, "Fraction of a job's cores to request, as nodes reserve some")
    privileged: bool = option(False, "Run privileged containers")
    omit_job_cleanup: bool = option(False, "Keep jobs that have ended")


Executor = stand_in(f"{__name__}.executor", "snakemake-executor-plugin-kubernetes")
