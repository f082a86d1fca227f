"""Executor `slurm-warm`: submits as snakemake-executor-plugin-slurm does, keeps models loaded on the node.

The plugin that this one derives from lets every job of a submission be a process of its own under `srun`, by
`slurm-jobstep`; a job group with 24 chunks then loads its model 24 times. Here the Snakemake that a
submission starts runs its jobs with the executor `warm` instead: one worker in the submission's own batch
step, which has its cores, its memory and its GPU. All else (options, log files, status, cancelling) is the
other plugin's; its options begin with `--slurm-warm-` here.

The other plugin is only there where `sbatch` is: Snakemake would import it at every start, and with it
pandas. Elsewhere dry runs work with what stands in for it.
"""

try:
    from snakemake_executor_plugin_slurm_warm.executor import Executor, ExecutorSettings, common_settings
except ModuleNotFoundError as error:
    if error.name != "snakemake_executor_plugin_slurm":
        raise
    from snakemake_executor_plugin_slurm_warm.absent import Executor, ExecutorSettings, common_settings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]
