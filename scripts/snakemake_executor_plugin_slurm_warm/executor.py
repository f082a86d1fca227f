"""The executor proper: the plugin for Slurm, with a warm Snakemake in each submission."""

from snakemake_executor_plugin_slurm import Executor as SlurmExecutor
from snakemake_executor_plugin_slurm import ExecutorSettings, common_settings
from snakemake_interface_common.exceptions import WorkflowError

from snakemake_executor_plugin_warm.submission import Submission

__all__ = ["Executor", "ExecutorSettings", "common_settings"]


class Executor(Submission, SlurmExecutor):
    """Submits to Slurm; see the package."""

    runner = "slurm"

    def __post_init__(self) -> None:
        """Refuse what needs `slurm-jobstep` on the node."""
        settings = self.workflow.executor_settings
        if settings.array_jobs or settings.pass_command_as_script:
            raise WorkflowError(
                "slurm-warm has no job arrays and passes no commands as scripts: --executor slurm does"
            )
        super().__post_init__()
