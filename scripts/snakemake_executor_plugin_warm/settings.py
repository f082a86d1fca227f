"""The settings of the executor: `--warm-NAME` on the command line, `warm-NAME:` in a profile."""
# ruff: noqa: UP006, UP035, UP045 -- Snakemake makes options of these types and knows no others

from dataclasses import dataclass, field
from typing import Any, List, Optional

from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase


def option(default: Any, text: str, **more: Any) -> Any:
    """Return a field with its text for `--help`, and what else Snakemake may be told of it."""
    return field(default=default, metadata={"help": text, **more})


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """Settings of the warm executor."""

    workers: Optional[int] = option(
        None,
        "Workers at most; each keeps its own models. Default: enough for `--resources gpu=N`, which is also "
        "what limits the number of jobs at once",
    )
    lanes: int = option(
        1,
        "Jobs at once in one worker. 2 on a GPU: one chunk is read while another is decoded",
    )
    idle: int = option(120, "Seconds without a job after which a worker ends and its GPU is free again")
    runner: List[str] = field(
        default_factory=lambda: ["local"],
        metadata={
            "help": "Where jobs with models run: `local`, `ssh:HOST`, `ec2:INSTANCE`, `colab:T4` "
            "(docs/runners/); several share the work",
            "nargs": "+",
        },
    )
    remote_python: Optional[str] = option(
        None,
        "Interpreter on other machines that has everything installed. Default: an environment from "
        "envs/requirements.txt is made there, once",
    )
    remote_torch: Optional[str] = option(
        None,
        "Build of torch in that environment, as uv names them (`auto`, `cu126`, `cpu`), where the driver "
        "there is too old for the pinned one. It is not checked against our hashes",
    )
    remote_dir: str = option(".cache/sessionscribe", "Our folder on other machines, below the home folder")
    ssh_config: Optional[str] = option(
        None,
        "Configuration file for ssh instead of the user's own (`ssh -F`)",
    )
    secrets: str = option(
        "HF_TOKEN",
        "Environment variables, separated by commas, that workers on other machines get, too",
    )
    lease: int = option(
        60,
        "Seconds without a sign of life from here after which a worker on another machine is ended (and the "
        "machine is stopped, if we started it)",
    )
    tries: int = option(
        3,
        "How often a lost connection is made again, and a job tried again whose worker on another machine "
        "died",
    )
    patience: int = option(
        10,
        "Seconds that a job on another machine may take for each second of its audio (and 15 minutes beside)",
    )
    start_command: Optional[str] = option(
        None,
        "Shell command, run here, that starts the machine of `ssh:HOST` when there is work; `{host}` is its "
        "name",
    )
    stop_command: Optional[str] = option(
        None,
        "Shell command, run here, that stops it when the work is done, if it was started by us",
    )
    state_command: Optional[str] = option(
        None,
        "Shell command, run here, that succeeds if and only if it is up",
    )
    remote_stop_command: Optional[str] = option(
        None,
        "Shell command that the machine runs to stop itself if nothing more is heard from here, where it "
        "was started by us; such as `sudo shutdown -P now`",
    )
    colab_hours: float = option(
        12.0,
        "Hours after which Colab takes a session away at the latest; a job that would not end before goes "
        "to a new one",
    )
    others: bool = option(
        False,
        "Run all other Python scripts in workers too, one for each core, which have imported already what a "
        "process of its own would import first",
    )
    guests: Optional[str] = option(
        None,
        "Rules, separated by commas, whose jobs go to the workers with models without having `gpu`: they "
        "import the same packages",
    )
