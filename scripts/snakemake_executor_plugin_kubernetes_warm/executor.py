"""The executor itself: what differs from snakemake-executor-plugin-kubernetes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from snakemake_executor_plugin_kubernetes import Executor as KubernetesExecutor
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from snakemake_executor_plugin_warm.submission import ContainerSubmission


class Executor(ContainerSubmission, KubernetesExecutor):
    """Submits to Kubernetes; see the package."""

    runner = "kubernetes"

    def __post_init__(self) -> None:
        """Connect, and make the logs of pods that were never restarted readable."""
        super().__post_init__()
        self.kubeapi.read_namespaced_pod_log = partial(read_log, self.kubeapi.read_namespaced_pod_log)

    def reasons(self, jobs: Sequence[SubmittedJobInfo]) -> Mapping[str, str]:
        """Ask for the pods."""
        names = [job.external_jobid for job in jobs]
        found = self.kubeapi.list_namespaced_pod(
            self.namespace, label_selector=f"job-name in ({','.join(names)})"
        )
        pods = {pod.metadata.labels["job-name"]: pod.status for pod in found.items}
        reasons = {
            name: why_pending(pods[name]) if name in pods else self._why_no_pod(name) for name in names
        }
        return {name: reason for name, reason in reasons.items() if reason}

    def _why_no_pod(self, name: str) -> str:
        """Ask for the events of a job without a pod: a quota is a usual reason."""
        told = []
        with suppress(Exception):  # such as that we may not read events
            about = f"involvedObject.name={name}"
            told = self.kubeapi.list_namespaced_event(self.namespace, field_selector=about).items
        why = next((event.message for event in reversed(told) if event.type == "Warning"), "")
        return f"no pod was made for it{f' ({why})' if why else ''}"


def why_pending(status: Any) -> str:
    """Return why a pod has not begun, or "" if it has."""
    if status.phase != "Pending":
        return ""
    parts = (*(status.init_container_statuses or ()), *(status.container_statuses or ()))
    told = [
        (about.reason, about.message)
        for about in status.conditions or ()
        if about.type == "PodScheduled" and about.status != "True"
    ]
    told += [(part.state.waiting.reason, part.state.waiting.message) for part in parts if part.state.waiting]
    return ": ".join(filter(None, told[0])) if told else "Pending"


def read_log(read: Any, **what: Any) -> str:
    """Read a pod's log; the plugin asks for that of a container before a restart, which does not exist."""
    return str(read(**what | {"previous": False}))
