"""The executor itself: each submission gets a job definition with volume, GPU and time limit."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from snakemake_executor_plugin_aws_batch import Executor as BatchExecutor
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from snakemake_executor_plugin_warm.submission import KILL_AFTER_S, ContainerSubmission, time_limit_s

VOLUME = "project"
NOT_BEGUN = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING")


class Executor(ContainerSubmission, BatchExecutor):
    """Submits to AWS Batch; see the package."""

    runner = "aws-batch"

    def __post_init__(self) -> None:
        """Connect, and check jobs as often as the profile says instead of every five seconds."""
        super().__post_init__()
        self.next_seconds_between_status_checks = None

    def submit(self, job: Any) -> None:
        """Register a job definition and submit it."""
        settings = self.workflow.executor_settings
        what = definition(job, self.format_job_exec(job), self.container_image, settings, self.envvars())
        name = what["jobDefinitionName"]
        queue = settings.job_queue if job.resources.get("gpu") else settings.cpu_job_queue
        made = SubmittedJobInfo(job, aux={})
        try:
            registered = self.batch_client.register_job_definition(**what)
            # The plugin uses this to remove it, with its secrets, when the job ends or is cancelled.
            made.aux["job_definition_arn"] = registered["jobDefinitionArn"]
            made.external_jobid = self.batch_client.submit_job(
                jobName=name,
                jobQueue=queue or settings.job_queue,
                jobDefinition=f"{name}:{registered['revision']}",
            )["jobId"]
        except (BotoCoreError, ClientError) as error:
            self._deregister_job(made)
            raise WorkflowError(f"AWS Batch refuses {job.name}: {error}") from None
        self.report_job_submission(made)

    def reasons(self, jobs: Sequence[SubmittedJobInfo]) -> Mapping[str, str]:
        """Ask AWS Batch."""
        found = {}
        for first in range(0, len(jobs), 100):  # as many as one request takes
            asked = [job.external_jobid for job in jobs[first : first + 100]]
            for told in self.batch_client.describe_jobs(jobs=asked)["jobs"]:
                if told["status"] in NOT_BEGUN:
                    found[told["jobId"]] = ": ".join(filter(None, (told["status"], told.get("statusReason"))))
        return found


def definition(
    job: Any, command: str, image: str, settings: Any, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Return the job definition of a submission: the arguments of AWS Batch's RegisterJobDefinition."""
    needs = {"VCPU": int(job.resources.get("_cores", 1)), "MEMORY": int(job.resources.get("mem_mb", 2000))}
    if gpus := int(job.resources.get("gpu", 0)):
        needs["GPU"] = gpus
    container = {
        "image": image,
        "command": ["/bin/sh", "-c", command],
        "environment": [{"name": name, "value": value} for name, value in environment.items()],
        "resourceRequirements": [{"type": kind, "value": str(value)} for kind, value in needs.items()],
        "volumes": [
            {
                "name": VOLUME,
                "efsVolumeConfiguration": {
                    "fileSystemId": settings.file_system,
                    "transitEncryption": "ENABLED",
                },
            }
        ],
        "mountPoints": [{"sourceVolume": VOLUME, "containerPath": settings.mount_path, "readOnly": False}],
    }
    if settings.job_role:
        container["jobRoleArn"] = settings.job_role
    return {
        "jobDefinitionName": f"sessionscribe-{re.sub('[^A-Za-z0-9_-]', '-', job.name)[:60]}-{uuid.uuid4()}",
        "type": "container",
        "platformCapabilities": ["EC2"],
        "containerProperties": container,
        # For a container that does not end by itself.
        "timeout": {"attemptDurationSeconds": time_limit_s(job) + 2 * KILL_AFTER_S},
    }
