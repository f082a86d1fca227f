"""Stands in for the plugin for Slurm where it is not looked for: the profile's options, and a message."""

from dataclasses import dataclass
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecutorSettingsBase

from snakemake_executor_plugin_warm.settings import option

common_settings = CommonSettings(non_local_exec=True, implies_no_shared_fs=False, job_deploy_sources=False)


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """The options that `profiles/slurm` gives; the plugin itself has more."""

    status_command: str = option("squeue", "Command that asks for the state of jobs")
    init_seconds_before_status_checks: int = option(40, "Seconds before the state of jobs is asked for")


class Executor(RemoteExecutor):
    """Says that there is no plugin."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        """Refuse to run."""
        hint = "`make setup` installs it, and `--executor slurm-warm` on the command line finds it"
        raise WorkflowError(f"snakemake-executor-plugin-slurm was not found: {hint}")
