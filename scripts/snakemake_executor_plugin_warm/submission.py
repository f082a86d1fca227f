"""What executors that submit to clusters share: a common project folder, and one warm Snakemake per
submission.

The plugins for Kubernetes, AWS Batch and Google Batch expect all files in a bucket and run each job in a
process of its own. Our results are looked up in the project's folder before anything runs, and a group of
jobs must load its models only once. So the project's folder is on a volume that the machine with Snakemake
and all containers mount at the same path, as the nodes of a Slurm cluster do anyway, and the Snakemake of a
submission uses the executor `warm`.
"""

from __future__ import annotations

import importlib
import os
import shlex
from pathlib import Path
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings

from snakemake_executor_plugin_warm.waiting import Waiting

KILL_AFTER_S = 60
SELF_EXPLAINED, COMMAND = "'FAILED'", "sbatch call:"
"""What Slurm's plugin reports of a job that has printed its error; how it begins to quote a command."""
DEFAULT_MINUTES = 24 * 60
MODEL_FOLDERS = ("HF_HOME", "SESSIONSCRIBE_MODELS")
"""Variables to pass on: the folders are on the volume, and models are fetched before submitting."""
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
    """A mixin for the executor of a plugin that submits jobs; it comes before that class."""

    runner: str

    def additional_general_args(self) -> str:
        """Return the options for the Snakemake of a submission."""
        return "--executor warm --warm-others --warm-guests cluster_speakers"

    def time_limit(self, job: Any) -> list[str]:
        """Return a command prefix that enforces the time limit; none if the service does."""
        return []

    def print_job_error(self, job_info: SubmittedJobInfo, msg: str | None = None, **more: Any) -> None:
        """Report a failed job, and the reason in case of a group, which Snakemake does not show."""
        if msg and job_info.job.is_group() and SELF_EXPLAINED not in msg:
            self.logger.error(f"sessionscribe: {' '.join(msg.partition(COMMAND)[0].split())}")
        super().print_job_error(job_info, msg, **more)

    def format_job_exec(self, job: Any) -> str:
        """Return the command of a submission: it runs a script, since few services accept long commands.

        The script changes to the project's folder, uses its code, records the usage, and enforces the time
        limit.
        """
        command: str = super().format_job_exec(job)
        folder = Path.cwd()
        environment = {"PYTHONPATH": str(folder / "scripts")}
        environment |= {name: os.environ[name] for name in MODEL_FOLDERS if name in os.environ}
        recorded = [self.get_python_executable(), "-m", "sessionscribe.runners.submitted", self.runner]
        recorded += [" ".join(sessions_of(job)), "sh", "-c", command]
        lines = [
            shlex.join(["cd", str(folder)]),
            shlex.join(["export", *(f"{name}={value}" for name, value in environment.items())]),
            shlex.join(["exec", *self.time_limit(job), *recorded]),
        ]
        script = Path(self.tmpdir) / f"{job.jobid}.{job.attempt}.sh"
        script.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return shlex.join(["exec", "sh", str(script)])


def sessions_of(job: Any) -> list[str]:
    """Return the sessions of a job, or of all jobs of a group."""
    jobs = job.jobs if job.is_group() else [job]
    return sorted({name for single in jobs if (name := single.wildcards.get("session"))})


class ContainerSubmission(Submission):
    """The same for a plugin that submits to containers."""

    _accepted = False

    def run_job(self, job: Any) -> None:
        """Submit a job; if it is refused, only this job fails, unless none has been accepted before.

        Raises:
            WorkflowError: the first job is refused, as all others would be: a wrong queue, no credentials.
        """
        try:
            self.submit(job)
        except WorkflowError as error:
            if not self._accepted:
                raise
            self.logger.error(f"sessionscribe: {error}")  # Snakemake shows no reason for groups
            self.report_job_error(SubmittedJobInfo(job))
        else:
            self._accepted = True

    def submit(self, job: Any) -> None:
        """Submit a job and report that to Snakemake.

        Raises:
            WorkflowError: the job is refused.
        """
        super().run_job(job)

    def get_python_executable(self) -> str:
        """Return the image's Python: the environment is not on the volume."""
        return "python"

    def time_limit(self, job: Any) -> list[str]:
        """Return a command prefix that ends the command after the time of its jobs."""
        # SIGINT, because after SIGTERM Snakemake waits for running jobs.
        return ["timeout", "--signal=INT", f"--kill-after={KILL_AFTER_S}", str(time_limit_s(job))]


def time_limit_s(job: Any) -> int:
    """Return the time limit of a submission in seconds: the sum of its jobs' `runtime` (minutes)."""
    return 60 * int(job.resources.get("runtime", DEFAULT_MINUTES))


def stand_in(module: str, package: str, hint: str = "") -> type[RemoteExecutor]:
    """Return a class whose instances are made by the executor of ``module``, which is imported only then.

    Importing the clients of cloud services would cost every start of Snakemake a second, and `make setup`
    does not install them. If ``package`` is missing, a line with ``hint`` says so.
    """

    class Executor(RemoteExecutor):
        def __new__(cls, *given: Any, **named: Any) -> Any:
            try:
                return importlib.import_module(module).Executor(*given, **named)
            except ModuleNotFoundError as error:
                if error.name and error.name.startswith(("snakemake_executor_plugin_warm", "sessionscribe")):
                    raise
                what = f"{package} is not installed ({error.name} is missing)"
                raise WorkflowError(f"{what}: {hint or CLOUDS_HINT}") from None

    return Executor


CLOUDS_HINT = "`.venv/bin/uv pip install --requirement envs/requirements-clouds.txt`, and run again"
