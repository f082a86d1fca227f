"""Executor `slurm-warm`: submits as snakemake-executor-plugin-slurm does, keeps models loaded on the node.

The plugin that this one derives from lets every job of a submission be a process of its own under `srun`, by
`slurm-jobstep`; a job group with 24 chunks then loads its model 24 times. Here the Snakemake that a
submission starts runs its jobs with the executor `warm` instead: one worker in the submission's own batch
step, which has its cores, its memory and its GPU. All else (options, log files, status, cancelling) is the
other plugin's; its options begin with `--slurm-warm-` here.

Snakemake imports every plugin that it finds at every start, and the other one imports pandas. So it lies
beside all else (envs/set_up.py), and is looked for only where the command line says `slurm`. Elsewhere
something stands in for it.
"""

import sys
from pathlib import Path

if any("slurm" in argument for argument in sys.argv):
    sys.path.append(str(Path(sys.prefix) / "slurm"))
try:
    from snakemake_executor_plugin_slurm_warm.executor import Executor, ExecutorSettings, common_settings
except ModuleNotFoundError as error:
    if error.name != "snakemake_executor_plugin_slurm":
        raise
    from snakemake_executor_plugin_slurm_warm.absent import Executor, ExecutorSettings, common_settings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]
