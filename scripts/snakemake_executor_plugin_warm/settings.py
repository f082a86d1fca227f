"""The settings of the executor: `--warm-NAME` on the command line, `warm-NAME:` in a profile."""

from dataclasses import dataclass, field
from typing import List, Optional  # noqa: UP035 -- Snakemake looks for these

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
    runner: List[str] = field(  # noqa: UP006
        default_factory=lambda: ["local"],
        metadata={
            "help": "Where jobs with models run: `local`, `ssh:HOST`, `ec2:INSTANCE`, `colab:T4` "
            "(docs/runners/); several share the work",
            "nargs": "+",
            "required": False,
        },
    )
    remote_python: Optional[str] = field(  # noqa: UP045
        default=None,
        metadata={
            "help": "Interpreter on other machines that has everything installed. Default: an environment "
            "from envs/requirements.txt is made there, once",
            "required": False,
        },
    )
    remote_torch: Optional[str] = field(  # noqa: UP045
        default=None,
        metadata={
            "help": "Build of torch in that environment, as uv names them (`auto`, `cu126`, `cpu`), where "
            "the driver there is too old for the pinned one. It is not checked against our hashes",
            "required": False,
        },
    )
    remote_dir: str = field(
        default=".cache/sessionscribe",
        metadata={"help": "Our folder on other machines, below the home folder", "required": False},
    )
    ssh_config: Optional[str] = field(  # noqa: UP045
        default=None,
        metadata={
            "help": "Configuration file for ssh instead of the user's own (`ssh -F`)",
            "required": False,
        },
    )
    secrets: str = field(
        default="HF_TOKEN",
        metadata={
            "help": "Environment variables, separated by commas, that workers on other machines get, too",
            "required": False,
        },
    )
    lease: int = field(
        default=60,
        metadata={
            "help": "Seconds without a sign of life from here after which a worker on another machine is "
            "ended (and the machine is stopped, if we started it)",
            "required": False,
        },
    )
    tries: int = field(
        default=3,
        metadata={
            "help": "How often a lost connection is made again, and a job tried again whose worker on "
            "another machine died",
            "required": False,
        },
    )
    patience: int = field(
        default=10,
        metadata={
            "help": "Seconds that a job on another machine may take for each second of its audio (and 15 "
            "minutes beside)",
            "required": False,
        },
    )
    start_command: Optional[str] = field(  # noqa: UP045
        default=None,
        metadata={
            "help": "Shell command, run here, that starts the machine of `ssh:HOST` when there is work; "
            "`{host}` is its name",
            "required": False,
        },
    )
    stop_command: Optional[str] = field(  # noqa: UP045
        default=None,
        metadata={
            "help": "Shell command, run here, that stops it when the work is done, if it was started by us",
            "required": False,
        },
    )
    state_command: Optional[str] = field(  # noqa: UP045
        default=None,
        metadata={
            "help": "Shell command, run here, that succeeds if and only if it is up",
            "required": False,
        },
    )
    remote_stop_command: Optional[str] = field(  # noqa: UP045
        default=None,
        metadata={
            "help": "Shell command that the machine runs to stop itself if nothing more is heard from here, "
            "where it was started by us; such as `sudo shutdown -P now`",
            "required": False,
        },
    )
    colab_hours: float = field(
        default=12.0,
        metadata={
            "help": "Hours after which Colab takes a session away at the latest; a job that would not end "
            "before goes to a new one",
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
