"""What executors that submit elsewhere share: a common project folder, one warm Snakemake per submission.

The plugins for Kubernetes, AWS Batch and Google Batch expect every file of a workflow to lie in a bucket, and
each job to be a process of its own. Here files lie where the settings say, results are looked up there before
anything runs, and a job group must load its models once. So the project's folder is on a volume that the
machine with Snakemake and all containers mount at the same path, as the nodes of a Slurm cluster do anyway,
and the Snakemake of a submission runs its jobs with the executor `warm`.
"""

from __future__ import annotations

import importlib
import os
import shlex
from collections.abc import Callable
from logging import Logger
from pathlib import Path
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings

from snakemake_executor_plugin_warm.waiting import Waiting

KILL_AFTER_S = 60
PLAIN, COMMAND = "'FAILED'", "sbatch call:"
"""What Slurm says of a job that has itself said what is wrong; where its plugin begins to quote a command."""
WITHOUT_LIMIT = 24 * 60
# Where models lie: on the volume, too, for they are fetched before anything is submitted.
GIVEN = ("HF_HOME", "SESSIONSCRIBE_MODELS")
SHARED_VOLUME = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_default_storage_provider_args=False,
    pass_default_resources_args=True,
    pass_envvar_declarations_to_cmd=False,
    auto_deploy_default_storage_provider=False,
)


class Submission(Waiting):
    """Mixed with the executor of a plugin that submits, before it."""

    runner: str
    tmpdir: str
    get_python_executable: Callable[[], str]

    def additional_general_args(self) -> str:
        """Return the options with which a submission's own Snakemake runs its jobs."""
        return "--executor warm --warm-others --warm-guests cluster_speakers"

    def limit(self, job: Any) -> list[str]:
        """Return what is put before a command to end it after its time; nothing where Slurm sees to it."""
        return []

    def print_job_error(self, job_info: SubmittedJobInfo, msg: str | None = None, **more: Any) -> None:
        """Report a failed job; of a group, for which Snakemake gives no reason, also why."""
        if msg and job_info.job.is_group() and PLAIN not in msg:
            self.logger.error(f"sessionscribe: {' '.join(msg.partition(COMMAND)[0].split())}")
        super().print_job_error(job_info, msg, **more)  # type: ignore[misc]

    def format_job_exec(self, job: Any) -> str:
        """Return the command of a submission: a script in the project's folder, as few places take long ones.

        It works in that folder and with its code, notes what was used, and ends after its time.
        """
        command: str = super().format_job_exec(job)  # type: ignore[misc]
        folder = Path.cwd()
        environment = {"PYTHONPATH": str(folder / "scripts")}
        environment |= {name: os.environ[name] for name in GIVEN if name in os.environ}
        noted = [
            self.get_python_executable(),
            "-m",
            "sessionscribe.runners.submitted",
            self.runner,
            " ".join(sessions_of(job)),
        ]
        lines = [
            shlex.join(["cd", str(folder)]),
            shlex.join(["export", *(f"{name}={value}" for name, value in environment.items())]),
            shlex.join(["exec", *self.limit(job), *noted, "sh", "-c", command]),
        ]
        script = Path(self.tmpdir) / f"{job.jobid}.{job.attempt}.sh"
        script.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return shlex.join(["exec", "sh", str(script)])


def sessions_of(job: Any) -> list[str]:
    """Return the sessions that a job, or the jobs of a group, work on."""
    jobs = job.jobs if job.is_group() else [job]
    return sorted({name for single in jobs if (name := single.wildcards.get("session"))})


class ContainerSubmission(Submission):
    """The same for a plugin that submits to containers."""

    logger: Logger
    report_job_error: Callable[[SubmittedJobInfo], None]
    _taken = False

    def run_job(self, job: Any) -> None:
        """Submit a job. One that is refused fails, and no other; but all end where none was ever taken.

        Raises:
            WorkflowError: it is refused as all others would be: a wrong queue, no credentials.
        """
        try:
            self.submit(job)
        except WorkflowError as error:
            if not self._taken:
                raise
            self.logger.error(f"sessionscribe: {error}")  # of a group, Snakemake itself says no reason
            self.report_job_error(SubmittedJobInfo(job))
        else:
            self._taken = True

    def submit(self, job: Any) -> None:
        """Submit a job and report that.

        Raises:
            WorkflowError: it is refused.
        """
        super().run_job(job)  # type: ignore[misc]

    def get_python_executable(self) -> str:
        """Return the image's Python: the environment is not on the volume."""
        return "python"

    def limit(self, job: Any) -> list[str]:
        """Return the program that ends a command after the time of its jobs."""
        # SIGINT, for upon SIGTERM Snakemake waits for what runs.
        return ["timeout", "--signal=INT", f"--kill-after={KILL_AFTER_S}", str(time_limit_s(job))]


def time_limit_s(job: Any) -> int:
    """Return how long a submission may take: the minutes (`runtime`) of its jobs, one after the other."""
    return 60 * int(job.resources.get("runtime", WITHOUT_LIMIT))


def stand_in(module: str, package: str) -> type[RemoteExecutor]:
    """Return a class that makes the executor of `module`, which needs a package that set-up does not install.

    Its clients of cloud services cost every start of Snakemake a second, so they are imported only where
    there is something to submit; where the package is missing, a WorkflowError says so.
    """

    class Executor(RemoteExecutor):
        def __new__(cls, *given: Any, **named: Any) -> Any:
            try:
                return importlib.import_module(module).Executor(*given, **named)
            except ModuleNotFoundError as error:
                if error.name and error.name.startswith(("snakemake_executor_plugin_warm", "sessionscribe")):
                    raise
                hint = "`.venv/bin/uv pip install --requirement envs/requirements-clouds.txt`, and run again"
                what = f"{package} is not installed ({error.name} is missing)"
                raise WorkflowError(f"{what}: {hint}") from None

    return Executor
