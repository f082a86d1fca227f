"""The executor proper: the plugin for Slurm, with a warm Snakemake in each submission."""

from snakemake_executor_plugin_slurm import Executor as SlurmExecutor
from snakemake_executor_plugin_slurm import ExecutorSettings, common_settings
from snakemake_interface_common.exceptions import WorkflowError

__all__ = ["Executor", "ExecutorSettings", "common_settings"]


class Executor(SlurmExecutor):
    """Submits to Slurm; see the package."""

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
