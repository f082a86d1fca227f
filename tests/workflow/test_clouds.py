"""The profiles for Kubernetes, AWS Batch and Google Batch: their own clients against services on loopback.

The services take what the clients send, refuse what real ones refuse, and run the commands
(tests/containers.py). What they cannot show (images, drivers, volumes, rights) is said in docs/runners/.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

import slurm
from aws_batch_api import Batch
from containers import Machine, make_image
from kubernetes_api import Cluster
from project import HASTY, Done, Project

pytestmark = pytest.mark.cloud
ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "envs/requirements-clouds.txt"
UV = Path(sys.executable).with_name("uv")
# The profile's settings, over them a machine without a GPU; and one need not wait long for small jobs.
ON_CPU = ("--configfile", "config/cuda.yaml", "config/test.yaml", "--seconds-between-status-checks", "1")


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What set-up does not install, in a folder of its own: it would slow down all other tests."""
    folder = tmp_path_factory.mktemp("plugins")
    command = [str(UV), "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--target", str(folder)]
    done = subprocess.run(
        [*command, "--python", sys.executable, "--requirement", str(REQUIREMENTS)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"the clouds' packages cannot be installed here: {done.stderr.strip()[-200:]}")
    return str(folder)


@pytest.fixture
def machine(tmp_path: Path, plugins: str) -> Iterator[Machine]:
    made = Machine(make_image(tmp_path / "image", plugins))
    yield made
    for container in made.running():
        made.remove(container)


@pytest.fixture
def project(fresh: Project, tmp_path: Path) -> Project:
    return fresh.copy(tmp_path / "project")


def paths(project: Project, plugins: str) -> dict[str, str]:
    return {"PYTHONPATH": f"{project / 'scripts'}{os.pathsep}{plugins}"}


def run(project: Project, profile: str, plugins: str, sessions: str, **environment: str) -> Done:
    asked = ["--config", f"sessions=[{sessions}]"]
    environment |= paths(project, plugins)
    return project.snakemake(*ON_CPU, *asked, "--retries", "0", profile=profile, **environment)


def exports(project: Project, session: str) -> dict[str, bytes]:
    return project.results(f"results/export/{session}")


def usage(project: Project) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in (project / "logs/usage").rglob("*.json")]


def steps(project: Project) -> list[dict[str, Any]]:
    lines = (project / "logs/usage/runners.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.timeout(300)
def test_kubernetes_loads_once_per_pod_and_a_session_that_fails_stops_no_other(
    project: Project, finished: Project, plugins: str, machine: Machine, tmp_path: Path
) -> None:
    cluster = Cluster(machine, claims={"sessionscribe"})
    server = cluster.start(tmp_path / "kubeconfig")
    (project / "recordings/talk.flac").write_bytes(b"no longer a recording")

    with (project / "profiles/kubernetes/config.yaml").open("a") as profile:
        profile.write("envvars:\n  - DEMO_TOKEN\n")
    given = {"KUBECONFIG": str(tmp_path / "kubeconfig"), "DEMO_TOKEN": "hunter2"}
    done = run(project, "kubernetes", plugins, "talk,duo", **given)
    server.shutdown()

    assert done.code != 0
    assert "Traceback" not in done.text
    assert project.status() == {"talk": "failed", "duo": "complete", "live": "pending"}
    assert exports(project, "duo") == exports(finished, "duo")
    with_gpu, *others = sorted(machine.containers, key=lambda container: -container.gpus)
    assert (with_gpu.gpus, [other.gpus for other in others]) == (1, [0, 0])
    assert sum(use["rule"] == "transcribe_chunk" for use in usage(project)) == 2
    assert len([name for use in usage(project) for name in use["loads"]]) == 1
    assert cluster.secrets == {}
    slurm.wait_for(lambda: machine.running() == [])
    assert {container.environment["DEMO_TOKEN"] for container in machine.containers} == {"hunter2"}
    written = [path for path in project.root.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
    assert (written, "hunter2" in done.text + json.dumps(cluster.specs)) == ([], False)
    parts = yaml.safe_load_all((ROOT / "envs/kubernetes.yaml").read_text())
    (role,) = [part for part in parts if part["kind"] == "Role"]
    rights = {(what, verb) for rule in role["rules"] for what in rule["resources"] for verb in rule["verbs"]}
    assert cluster.asked == rights
    (entry,) = [entry for entry in steps(project) if "transcribe_chunk" in entry["work"].get("duo", {})]
    assert entry["runner"] == "kubernetes"
    assert entry["work"]["duo"]["transcribe_chunk"]["audio_s"] > 10


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_aws_batch_gives_the_local_runs_bytes_and_refuses_one_session_only(
    project: Project, finished: Project, plugins: str, machine: Machine
) -> None:
    batch = Batch(machine, refused=(1,))
    server, url = batch.start()
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": url}

    done = run(project, "aws-batch", plugins, "duo,talk", **keys)
    server.shutdown()

    assert done.code != 0
    assert "Job queue is full" in done.text
    (session,) = (name for name in ("duo", "talk") if exports(project, name))
    assert exports(project, session) == exports(finished, session)
    assert [asked["jobQueue"] for asked in batch.submitted] == ["sessionscribe-cpu", "sessionscribe-gpu"]
    assert sorted(batch.removed) == sorted(f"arn:{name}:1" for name in batch.definitions)
    assert len(batch.removed) == 3, "that of the refused one, too"
    for made in batch.definitions.values():
        what = made["containerProperties"]
        assert what["volumes"][0]["efsVolumeConfiguration"]["fileSystemId"] == "fs-0123456789abcdef0"
        assert what["mountPoints"][0]["containerPath"] == "/sessionscribe"
        assert not what.get("privileged")
        assert made["timeout"]["attemptDurationSeconds"] > 600


@pytest.mark.slow
@pytest.mark.usefixtures("machine")  # for its image
@pytest.mark.timeout(300)
def test_google_batch_gives_the_local_runs_bytes(
    project: Project, finished: Project, plugins: str, tmp_path: Path
) -> None:
    command = [sys.executable, str(ROOT / "tests/google_batch_api.py"), str(tmp_path)]
    given = os.environ | {"PYTHONPATH": plugins}
    with subprocess.Popen(
        command, env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin
        assert server.stdout
        environment = json.loads(server.stdout.readline())
        done = run(project, "googlebatch", plugins, "duo", **environment)
        server.stdin.close()
        prepare, session = json.loads(server.stdout.readline())

    assert done.code == 0, done.text
    assert exports(project, "duo") == exports(finished, "duo")
    assert (prepare["gpus"], prepare["machine"], prepare["drivers"]) == (0, "e2-standard-4", False)
    assert (session["gpus"], session["machine"], session["drivers"]) == (1, "n1-standard-4", True)
    for job in (prepare, session):
        assert job["share"] == "10.0.0.2:/share"
        assert job["mounted"] == "/sessionscribe:/sessionscribe"
        assert job["seconds"] > 600


def test_a_pod_that_is_not_scheduled_is_said_why_and_not_waited_for(
    project: Project, plugins: str, machine: Machine, tmp_path: Path
) -> None:
    why = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    cluster = Cluster(machine, claims={"sessionscribe"}, full=why)
    server = cluster.start(tmp_path / "kubeconfig")
    environment = project.environment(KUBECONFIG=str(tmp_path / "kubeconfig"), **paths(project, plugins))
    command = [sys.executable, "-c", HASTY, *ON_CPU, "--config", "sessions=[duo]"]
    command += ["--seconds-between-status-checks", "120", "--profile", "profiles/kubernetes"]
    with subprocess.Popen(
        command, cwd=project.root, env=environment, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr
        line = next(line for line in running.stderr if "wait" in line)
        assert line.rstrip().endswith(f"  1 of 1 submissions are waiting: Unschedulable: {why}")
        running.send_signal(signal.SIGINT)
        began = time.monotonic()
        said = running.stderr.read()
        assert running.wait() != 0
    server.shutdown()

    assert time.monotonic() - began < 90, "and not for the next look at the jobs"
    assert (cluster.waiting, cluster.secrets) == (set(), {})
    assert "Stopped." in said


def test_why_the_clouds_let_jobs_wait(plugins: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(plugins)
    aws, google, kubernetes = (
        importlib.import_module(f"snakemake_executor_plugin_{name}_warm.executor")
        for name in ("aws_batch", "googlebatch", "kubernetes")
    )
    asked = SimpleNamespace(reason="ImagePullBackOff", message='Back-off pulling image "x"')
    begun = SimpleNamespace(type="PodScheduled", status="True", reason=None, message=None)
    for phase, waits, why in (
        ("Pending", asked, 'ImagePullBackOff: Back-off pulling image "x"'),
        ("Pending", None, "Pending"),
        ("Running", None, ""),
    ):
        part = SimpleNamespace(state=SimpleNamespace(waiting=waits))
        pod = SimpleNamespace(
            phase=phase, conditions=[begun], container_statuses=[part], init_container_statuses=None
        )
        assert kubernetes.why_pending(pod) == why
    quota = 'pods "a" is forbidden: exceeded quota: gpu, requested: requests.nvidia.com/gpu=1'
    events = [SimpleNamespace(type=kind, message=text) for kind, text in (("Warning", quota), ("Normal", ""))]
    asked_for = SimpleNamespace(list_namespaced_event=lambda *_, **__: SimpleNamespace(items=events))
    why = kubernetes.Executor._why_no_pod(SimpleNamespace(namespace="n", kubeapi=asked_for), "a")
    assert why == f"no pod was made for it ({quota})"
    jobs = [SimpleNamespace(external_jobid=name) for name in ("a", "b", "c")]
    told = [
        {"jobId": "a", "status": "RUNNABLE", "statusReason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - …"},
        {"jobId": "b", "status": "RUNNING"},
        {"jobId": "c", "status": "SUBMITTED"},
    ]
    client = SimpleNamespace(
        describe_jobs=lambda jobs: {"jobs": [job for job in told if job["jobId"] in jobs]}
    )
    assert aws.Executor.reasons(SimpleNamespace(batch_client=client), jobs) == {
        "a": "RUNNABLE: MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - …",
        "c": "SUBMITTED",
    }
    status, event = google.batch_v1.JobStatus, google.batch_v1.StatusEvent
    found = {
        "a": status(state="SCHEDULED", status_events=[event(description="CODE_GCE_QUOTA_EXCEEDED")]),
        "b": status(state="RUNNING"),
        "c": status(state="QUEUED"),
    }
    batch = SimpleNamespace(get_job=lambda name: google.batch_v1.Job(status=found[name]))
    assert google.Executor.reasons(SimpleNamespace(batch=batch), jobs) == {
        "a": "SCHEDULED: CODE_GCE_QUOTA_EXCEEDED",
        "c": "QUEUED",
    }


def test_ctrl_c_removes_what_was_submitted(
    project: Project, plugins: str, machine: Machine, tmp_path: Path
) -> None:
    (machine.image / "python").write_text("#!/bin/sh\nexec sleep 600\n")
    cluster = Cluster(machine, claims={"sessionscribe"})
    server = cluster.start(tmp_path / "kubeconfig")
    environment = {"KUBECONFIG": str(tmp_path / "kubeconfig"), **paths(project, plugins)}
    one = ["--config", "sessions=[duo]", "--cores", "2", "--profile", "profiles/kubernetes"]
    running = project.start("snakemake", *ON_CPU, *one, said=tmp_path / "said", **environment)
    try:
        slurm.wait_for(lambda: ("jobs/status", "get") in cluster.asked, 120)  # Snakemake knows of it
        running.send_signal(signal.SIGINT)
        assert running.wait(120) != 0
    finally:
        running.kill()
    server.shutdown()

    slurm.wait_for(lambda: machine.running() == [])
    assert cluster.secrets == {}
