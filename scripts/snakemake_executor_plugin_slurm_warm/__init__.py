"""Executor `slurm-warm`: submits as snakemake-executor-plugin-slurm does, keeps models loaded on the node.

The plugin that this one derives from lets every job of a submission be a process of its own under `srun`, by
`slurm-jobstep`; a job group with 24 chunks then loads its model 24 times. Here the Snakemake that a
submission starts runs its jobs with the executor `warm` instead: one worker in the submission's own batch
step, which has its cores, its memory and its GPU. All else (options, log files, status, cancelling) is the
other plugin's; its options begin with `--slurm-warm-` here.
"""

from snakemake_executor_plugin_slurm import Executor as SlurmExecutor
from snakemake_executor_plugin_slurm import ExecutorSettings, common_settings
from snakemake_interface_common.exceptions import WorkflowError

__all__ = ["Executor", "ExecutorSettings", "common_settings"]


class Executor(SlurmExecutor):
    """Submits to Slurm; see the module."""

    def __post_init__(self) -> None:
        """Refuse what needs `slurm-jobstep` on the node."""
        settings = self.workflow.executor_settings
        if settings.array_jobs or settings.pass_command_as_script:
            raise WorkflowError(
                "slurm-warm has no job arrays and passes no commands as scripts: --executor slurm does"
            )
        super().__post_init__()

    def additional_general_args(self) -> str:
        """Return the options with which a submission's own Snakemake runs its jobs."""
        return "--executor warm --warm-others --warm-guests cluster_speakers"
