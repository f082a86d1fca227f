"""The executor itself: each submission is a Batch job of one container, with share, GPU and time limit."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from google.api_core.exceptions import GoogleAPIError
from google.cloud import batch_v1
from google.protobuf.duration_pb2 import Duration
from snakemake_executor_plugin_googlebatch import Executor as BatchExecutor
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from snakemake_executor_plugin_warm.submission import KILL_AFTER_S, ContainerSubmission, time_limit_s

NOT_BEGUN = ("STATE_UNSPECIFIED", "QUEUED", "SCHEDULED")
DRIVER = ("/var/lib/nvidia/lib64:/usr/local/nvidia/lib64", "/var/lib/nvidia/bin:/usr/local/nvidia/bin")
"""Volumes: where Container-Optimized OS has the driver, and where containers expect it."""


class Executor(ContainerSubmission, BatchExecutor):
    """Submits to Google Batch; see the package."""

    runner = "googlebatch"

    def submit(self, job: Any) -> None:
        """Create a Batch job."""
        settings = self.workflow.executor_settings
        image = self.workflow.remote_execution_settings.container_image
        what = batch_job(job, self.format_job_exec(job), image, settings, self.envvars())
        where = f"projects/{settings.project}/locations/{settings.region}"
        name = f"{re.sub('[^a-z0-9-]', '-', job.name.lower())[:40]}-{uuid.uuid4().hex[:12]}"
        try:
            created = self.batch.create_job(parent=where, job=what, job_id=name)
        except GoogleAPIError as error:
            raise WorkflowError(f"Google Batch refuses {job.name}: {error}") from None
        # The plugin requires a file for the log of a job in Cloud Logging.
        log = Path(".snakemake/googlebatch_logs") / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        aux = {"batch_job": created, "logfile": str(log), "last_seen": None}
        self.report_job_submission(SubmittedJobInfo(job, external_jobid=created.name, aux=aux))

    def save_finished_job_logs(self, job_info: Any, **how: Any) -> None:
        """Fetch the log of a failed job from Cloud Logging; logs of rules are on the share anyway."""
        state = self.batch.get_job(name=job_info.external_jobid).status.state
        if state == batch_v1.JobStatus.State.FAILED:
            super().save_finished_job_logs(job_info, **how)

    def reasons(self, jobs: Sequence[SubmittedJobInfo]) -> Mapping[str, str]:
        """Ask Google Batch."""
        told = {job.external_jobid: self.batch.get_job(name=job.external_jobid).status for job in jobs}
        return {
            name: ": ".join([status.state.name, *(event.description for event in status.status_events[-1:])])
            for name, status in told.items()
            if status.state.name in NOT_BEGUN
        }


def batch_job(
    job: Any, command: str, image: str, settings: Any, environment: Mapping[str, str]
) -> batch_v1.Job:
    """Return the Batch job of a submission."""
    gpus = int(job.resources.get("gpu", 0))
    server, _, path = settings.share.partition(":")
    container = batch_v1.Runnable.Container(
        image_uri=image,
        entrypoint="/bin/sh",
        commands=["-c", command],
        volumes=[f"{settings.mount_path}:{settings.mount_path}", *(DRIVER if gpus else ())],
        options="--privileged" if gpus else "",  # for the GPU's devices
    )
    runnable = batch_v1.Runnable(
        container=container, environment=batch_v1.Environment(variables=dict(environment))
    )
    share = batch_v1.Volume(nfs=batch_v1.NFS(server=server, remote_path=path), mount_path=settings.mount_path)
    task = batch_v1.TaskSpec(
        runnables=[runnable],
        volumes=[share],
        compute_resource=batch_v1.ComputeResource(
            cpu_milli=1000 * int(job.resources.get("_cores", 1)),
            memory_mib=int(job.resources.get("mem_mb", 2000)),
        ),
        # For a container that does not end by itself.
        max_run_duration=Duration(seconds=time_limit_s(job) + 2 * KILL_AFTER_S),
    )
    instance = batch_v1.AllocationPolicy.InstancePolicy(
        machine_type=settings.machine_type if gpus else settings.cpu_machine_type,
        boot_disk=batch_v1.AllocationPolicy.Disk(image="batch-cos", size_gb=settings.boot_disk_gb),
        accelerators=[batch_v1.AllocationPolicy.Accelerator(type_=settings.gpu_type, count=gpus)]
        * bool(gpus),
    )
    policy = batch_v1.AllocationPolicy(
        instances=[
            batch_v1.AllocationPolicy.InstancePolicyOrTemplate(
                policy=instance, install_gpu_drivers=bool(gpus)
            )
        ]
    )
    if settings.network or settings.subnetwork:
        interface = batch_v1.AllocationPolicy.NetworkInterface(
            network=settings.network or "", subnetwork=settings.subnetwork or ""
        )
        policy.network = batch_v1.AllocationPolicy.NetworkPolicy(network_interfaces=[interface])
    if settings.service_account:
        policy.service_account = batch_v1.ServiceAccount(email=settings.service_account)
    return batch_v1.Job(
        task_groups=[batch_v1.TaskGroup(task_spec=task, task_count=1)],
        allocation_policy=policy,
        labels={"app": "sessionscribe"},
        logs_policy=batch_v1.LogsPolicy(destination=batch_v1.LogsPolicy.Destination.CLOUD_LOGGING),
    )
