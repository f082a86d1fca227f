"""The settings of the executor: `--warm-NAME` on the command line, `warm-NAME:` in a profile."""
# ruff: noqa: UP006, UP035, UP045 -- Snakemake turns these types into options and knows no others

from dataclasses import dataclass, field
from typing import Any, List, Optional

from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase


def option(default: Any, text: str, **more: Any) -> Any:
    """Return a dataclass field with its text for `--help` and other metadata for Snakemake."""
    return field(default=default, metadata={"help": text, **more})


@dataclass
class ExecutorSettings(ExecutorSettingsBase):
    """Settings of the warm executor."""

    workers: Optional[int] = option(
        None,
        "Maximum number of workers, each with its own models. Default: as many as `--resources gpu=N` needs",
    )
    lanes: int = option(1, "Jobs at once in a worker. 2 on a GPU: one is prepared while another is decoded")
    idle: int = option(120, "Seconds without a job after which a worker ends and releases its GPU")
    runner: List[str] = field(
        default_factory=lambda: ["local"],
        metadata={
            "help": "Where jobs with models run: `local`, `ssh:HOST`, `ec2:INSTANCE`, `colab:T4`, "
            "`mailbox:PLACE` (docs/runners/); several share the work",
            "nargs": "+",
        },
    )
    remote_python: str = option(
        "",
        "Python interpreter on other machines that has all packages. Default: an environment is made there "
        "from envs/requirements.txt, once",
    )
    remote_torch: str = option(
        "",
        "Build of torch in that environment, as uv names them (`auto`, `cu126`, `cpu`), if the driver there "
        "is too old for the pinned one. It is not checked against our hashes",
    )
    remote_dir: str = option(".cache/sessionscribe", "Our folder on other machines, in the home folder")
    ssh_config: str = option("", "ssh configuration file to use instead of your own (`ssh -F`)")
    secrets: str = option("HF_TOKEN", "Environment variables (comma-separated) to pass to other machines")
    lease: int = option(
        60,
        "Seconds without contact after which a worker on another machine is ended (and the machine is "
        "stopped, if we started it)",
    )
    tries: int = option(
        3, "How often to retry a lost connection, or a job whose worker on another machine died"
    )
    patience: int = option(
        10, "Seconds that a job on another machine may take per second of its audio (plus 15 minutes)"
    )
    start_command: str = option(
        "", "Local shell command that starts the machine of `ssh:HOST`; `{host}` is replaced by its name"
    )
    stop_command: str = option(
        "", "Local shell command that stops the machine after the work, if we started it"
    )
    state_command: str = option("", "Local shell command that succeeds if and only if the machine is up")
    remote_stop_command: str = option(
        "",
        "Shell command with which a machine that we started stops itself when contact is lost, such as "
        "`sudo shutdown -P now`",
    )
    colab_hours: float = option(
        12.0,
        "Hours after which Colab ends a session; jobs that would not finish in time go to a new session",
    )
    others: bool = option(
        False, "Run all other Python scripts in workers, too, one per core, which import packages only once"
    )
    guests: str = option(
        "",
        "Rules without `gpu` (comma-separated) whose jobs also run in the workers with models, because they "
        "import the same packages",
    )
