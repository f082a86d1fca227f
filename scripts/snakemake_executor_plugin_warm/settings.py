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
        "Most workers at once; each has its own models. Default: as many as `--resources gpu=N` needs",
    )
    lanes: int = option(1, "Jobs at once in a worker. 2 on a GPU: one chunk is read while another is decoded")
    idle: int = option(120, "Seconds without a job after which a worker ends and its GPU is free")
    runner: List[str] = field(
        default_factory=lambda: ["local"],
        metadata={
            "help": "Where jobs with models run: `local`, `ssh:HOST`, `ec2:INSTANCE`, `colab:T4`, "
            "`mailbox:PLACE` (docs/runners/); several share the work",
            "nargs": "+",
        },
    )
    remote_python: Optional[str] = option(
        None,
        "Interpreter on other machines that has all packages. Default: an environment is made there from "
        "envs/requirements.txt, once",
    )
    remote_torch: Optional[str] = option(
        None,
        "Build of torch in that environment, as uv names them (`auto`, `cu126`, `cpu`), if the driver there "
        "is too old for the pinned one. It is not checked against our hashes",
    )
    remote_dir: str = option(".cache/sessionscribe", "Our folder on other machines, below the home folder")
    ssh_config: Optional[str] = option(None, "ssh configuration file to use instead of your own (`ssh -F`)")
    secrets: str = option(
        "HF_TOKEN", "Environment variables, separated by commas, that are passed to workers on other machines"
    )
    lease: int = option(
        60,
        "Seconds without contact after which a worker on another machine is ended (and the machine is "
        "stopped, if we started it)",
    )
    tries: int = option(
        3,
        "How often a lost connection is made again, and a job repeated whose worker on another machine died",
    )
    patience: int = option(
        10, "Seconds that a job on another machine may take per second of its audio (plus 15 minutes)"
    )
    start_command: Optional[str] = option(
        None,
        "Shell command, run here, that starts the machine of `ssh:HOST` when there is work; `{host}` is its "
        "name",
    )
    stop_command: Optional[str] = option(
        None, "Shell command, run here, that stops it when the work is done, if we started it"
    )
    state_command: Optional[str] = option(
        None, "Shell command, run here, that succeeds if and only if it is up"
    )
    remote_stop_command: Optional[str] = option(
        None,
        "Shell command with which a machine that we started stops itself when contact is lost, such as "
        "`sudo shutdown -P now`",
    )
    colab_hours: float = option(
        12.0,
        "Hours after which Colab ends a session at the latest; jobs that would not finish before go to a new "
        "one",
    )
    others: bool = option(
        False,
        "Run all other Python scripts in workers, too, one per core, which import packages only once",
    )
    guests: Optional[str] = option(
        None,
        "Rules without `gpu`, separated by commas, whose jobs also run in the workers with models, "
        "because they import the same packages",
    )
