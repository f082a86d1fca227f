"""The settings of the executor: `--warm-NAME` on the command line, `warm-NAME:` in a profile."""

from dataclasses import dataclass, field
from typing import Optional

from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """Settings of the warm executor."""

    workers: Optional[int] = field(  # noqa: UP045 -- Snakemake makes an option of it and knows no `|`
        default=None,
        metadata={
            "help": "Workers at most; each keeps its own models. Default: enough for `--resources gpu=N`, "
            "which is also what limits the number of jobs at once",
            "required": False,
        },
    )
    lanes: int = field(
        default=1,
        metadata={
            "help": "Jobs at once in one worker. 2 on a GPU: one chunk is read while another is decoded",
            "required": False,
        },
    )
    idle: int = field(
        default=120,
        metadata={
            "help": "Seconds without a job after which a worker ends and its GPU is free again",
            "required": False,
        },
    )
    others: bool = field(
        default=False,
        metadata={
            "help": "Run all other Python scripts in workers too, one for each core, which have imported "
            "already what a process of its own would import first",
            "required": False,
        },
    )
    guests: Optional[str] = field(  # noqa: UP045
        default=None,
        metadata={
            "help": "Rules, separated by commas, whose jobs go to the workers with models without having "
            "`gpu`: they import the same packages",
            "required": False,
        },
    )
