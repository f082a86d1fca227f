"""Executor `slurm-warm`: submits as snakemake-executor-plugin-slurm does, and keeps models loaded on the
node.

In a submission of that plugin, every job is a process of its own under `srun`, so a group of 24 chunks would
load its model 24 times. Here, the Snakemake of a submission uses the executor `warm`: one worker in the
submission's own batch step, with its cores, memory and GPU. Everything else (options, log files, status,
cancelling) is the plugin's; its options begin with `--slurm-warm-` here.

Snakemake imports all plugins at every start, and this one imports pandas. So it is installed in a folder of
its own (envs/set_up.py), which is searched only if `slurm` is on the command line.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase

from snakemake_executor_plugin_warm.settings import option
from snakemake_executor_plugin_warm.submission import SHARED_VOLUME, stand_in

if any("slurm" in argument for argument in sys.argv):
    sys.path.append(str(Path(sys.prefix) / "slurm"))
try:
    from snakemake_executor_plugin_slurm_warm.executor import Executor, ExecutorSettings, common_settings
except ModuleNotFoundError as error:
    if error.name != "snakemake_executor_plugin_slurm":
        raise
    common_settings = SHARED_VOLUME
    Executor = stand_in(  # type: ignore[misc]
        f"{__name__}.executor",
        "snakemake-executor-plugin-slurm",
        "`make setup` installs it, and `--executor slurm-warm` on the command line finds it",
    )

    @dataclass
    class ExecutorSettings(ExecutorSettingsBase):  # type: ignore[no-redef]
        """The options in profiles/slurm; the plugin has more."""

        status_command: str = option("squeue", "Command that reports the state of jobs")
        init_seconds_before_status_checks: int = option(40, "Seconds before the first check of jobs")


__all__ = ["Executor", "ExecutorSettings", "common_settings"]
