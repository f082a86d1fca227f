"""The executor itself: the plugin for Slurm, with a warm Snakemake in each submission."""

import subprocess
from collections.abc import Mapping, Sequence

from snakemake_executor_plugin_slurm import Executor as SlurmExecutor
from snakemake_executor_plugin_slurm import ExecutorSettings, common_settings
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from snakemake_executor_plugin_warm.submission import Submission

__all__ = ["Executor", "ExecutorSettings", "common_settings"]


SQUEUE_TIMEOUT_S = 60.0
MEANINGS = {
    "PartitionConfig": "it asks for more than a node of its partition has",
    "PartitionNodeLimit": "it asks for more, or fewer, nodes than its partition allows",
    "PartitionTimeLimit": "it asks for more time than its partition allows: lower `runtime`",
    "PartitionDown": "its partition is closed",
    "PartitionInactive": "its partition is closed",
    "BadConstraints": "no node has what it asks for",
    "ReqNodeNotAvail": "the nodes for it are down or reserved",
    "BeginTime": "its time has not come; after the failure of a node, Slurm waits two minutes",
    "Licenses": "all licences are in use",
    "launch failed": "a node could not start it: `scontrol release`",
    "JobHeldAdmin": "an administrator holds it",
    "AccountNotAllowed": "its partition does not accept your account",
    "QOSNotAllowed": "its partition or account does not accept your quality of service",
    "Assoc": "a limit of your account is reached",
    "QOS": "a limit of your quality of service is reached",
    "Invalid": "Slurm does not know your account or quality of service",
    "JobHeld": "it is held: `scontrol release`",
    "Priority": "others come first",
    "Resources": "nodes are busy",
    "None": "Slurm has not considered it yet",
}
"""The meanings of Slurm's reasons, by their first letters."""


class Executor(Submission, SlurmExecutor):
    """Submits to Slurm; see the package."""

    runner = "slurm"

    def __post_init__(self) -> None:
        """Refuse options that need `slurm-jobstep` on the node."""
        settings = self.workflow.executor_settings
        if settings.array_jobs or settings.pass_command_as_script:
            raise WorkflowError(
                "slurm-warm has no job arrays and passes no commands as scripts: --executor slurm does"
            )
        super().__post_init__()

    def reasons(self, jobs: Sequence[SubmittedJobInfo]) -> Mapping[str, str]:
        """Ask Slurm."""
        command = ["squeue", "--noheader", "--states=PENDING", "--format=%i|%r", f"--name={self.run_uuid}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SQUEUE_TIMEOUT_S, check=True)
        lines = (line.partition("|") for line in done.stdout.splitlines())
        return {name: explain(reason) for name, _, reason in lines}


def explain(reason: str) -> str:
    """Return one of Slurm's reasons with its meaning."""
    meaning = next((meaning for begin, meaning in MEANINGS.items() if reason.startswith(begin)), "")
    return f"{reason} ({meaning})" if meaning else reason
