"""The executor proper: what is otherwise than with snakemake-executor-plugin-kubernetes."""

from __future__ import annotations

from functools import partial
from typing import Any

from snakemake_executor_plugin_kubernetes import Executor as KubernetesExecutor

from snakemake_executor_plugin_warm.submission import ContainerSubmission


class Executor(ContainerSubmission, KubernetesExecutor):
    """Submits to Kubernetes; see the package."""

    runner = "kubernetes"

    def __post_init__(self) -> None:
        """Connect, and read logs of pods in a way that works for those that ran once."""
        super().__post_init__()
        self.kubeapi.read_namespaced_pod_log = partial(read_log, self.kubeapi.read_namespaced_pod_log)


def read_log(read: Any, **what: Any) -> str:
    """Read a pod's log; the plugin asks for the container that ran before a restart, and there is none."""
    return str(read(**what | {"previous": False}))
