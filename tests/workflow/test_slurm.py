"""The profile `slurm` on a real Slurm of one node: the local run's bytes, one load per submission."""

from __future__ import annotations

import importlib
import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import project
import slurm
from project import Project

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(slurm.why_not() is not None, reason=slurm.why_not() or ""),
]
# The profile's settings, over them a machine without a GPU; and one need not wait long for small jobs.
ON_CPU = [
    *("--configfile", "config/cuda.yaml", "config/test.yaml"),
    *("--slurm-warm-init-seconds-before-status-checks", "1"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Slurm]:
    # A short path: sockets have no long names.
    running = slurm.start(tmp_path_factory.mktemp("slurm", numbered=True))
    yield running
    running.stop()


@pytest.mark.timeout(600)
def test_slurm_gives_the_local_runs_bytes_with_one_load_per_submission_and_goes_on_where_a_session_fails(
    new_project: Project, finished: Project, cluster: slurm.Slurm
) -> None:
    (new_project / "recordings/duo/bob.flac").write_bytes(b"no longer a recording")

    asked = ("--config", "sessions=[talk,duo]", "--retries", "0")
    done = new_project.snakemake(*ON_CPU, *asked, profile="slurm", **cluster.environment)

    assert done.code != 0
    assert new_project.status() == {"talk": "complete", "duo": "failed", "live": "pending"}
    made, wanted = (project.results("results/export/talk") for project in (new_project, finished))
    assert made == wanted
    groups = Counter(re.findall(r"SLURM jobid \d+ \(log: \S+/group_([a-z]+)_", new_project.log()))
    assert groups == {"prepare": 2, "session": 1}
    usage = [json.loads(path.read_text()) for path in (new_project / "logs/usage").rglob("*.json")]
    of_talk = [use for use in usage if use["session"] == "talk"]
    assert sum(use["rule"] == "transcribe_chunk" for use in of_talk) > 1
    loads = Counter(name for use in of_talk for name in use["loads"])
    assert len(loads) == 2  # what is spoken, and by whom
    assert set(loads.values()) == {1}
    lines = (new_project / "logs/usage/runners.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert Counter(entry["runner"] for entry in entries) == {"slurm": 3}
    assert sum("transcribe_chunk" in entry["work"].get("talk", {}) for entry in entries) == 1
    assert cluster.ask("squeue", "--noheader", "--states", "pending,running") == ""


def test_why_a_submission_does_not_begin_is_slurms_reason(
    cluster: slurm.Slurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    monkeypatch.syspath_prepend(str(Path(sys.prefix) / "slurm"))
    executor = importlib.import_module("snakemake_executor_plugin_slurm_warm.executor")
    wrong = (["--partition=closed"], ["--cpus-per-task=64"], ["--hold"], ["--begin=now+1hour"])
    for options in wrong:
        cluster.ask("sbatch", "--job-name=ours", *options, "--wrap", "sleep 1")
    told: set[str] = set()

    def asked() -> bool:
        told.update(executor.Executor.reasons(SimpleNamespace(run_uuid="ours"), []).values())
        return len(told) >= len(wrong)

    slurm.wait_for(asked)
    cluster.ask("scancel", "--name=ours")
    assert told - {"None", "Priority (others come first)"} == {
        "PartitionDown (its partition is closed)",
        "PartitionConfig (it asks for more than a node of its partition has)",
        "JobHeldUser (it is held: `scontrol release`)",
        "BeginTime (its time has not come; after the failure of a node, Slurm waits two minutes)",
    }
    for reason, meaning in {
        "QOSNotAllowed": "does not accept",
        "QOSMaxJobsPerUserLimit": "a limit of your quality",
        "AssocGrpGRES": "a limit of your account",
        "JobHeldAdmin": "an administrator",
        "launch failed requeued held": "scontrol release",
    }.items():
        assert meaning in executor.explain(reason)


def test_what_does_not_begin_is_said_and_not_waited_for(new_project: Project, cluster: slurm.Slurm) -> None:
    closed = ["--default-resources", "slurm_partition=closed", "--config", "sessions=[duo]"]
    command = [
        sys.executable,
        "-c",
        project.HASTY,
        *ON_CPU,
        *closed,
        "--cores",
        "2",
        "--profile",
        "profiles/slurm",
    ]
    environment = new_project.environment(**cluster.environment)
    with subprocess.Popen(
        command, cwd=new_project.root, env=environment, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr
        line = next(line for line in run.stderr if "wait" in line)
        assert line.rstrip().endswith(
            "  1 of 1 submissions are waiting: PartitionDown (its partition is closed)"
        )
        run.terminate()
        began = time.monotonic()
        said = run.stderr.read()
        assert run.wait() != 0
    assert time.monotonic() - began < 90
    assert cluster.ask("squeue", "--noheader") == ""
    assert "1 submissions that had not started are cancelled" in said
    assert "failed" not in said


def test_what_slurm_does_not_take_is_said_with_its_reason(new_project: Project, cluster: slurm.Slurm) -> None:
    nowhere = [
        "--default-resources",
        "slurm_partition=nowhere",
        "--config",
        "sessions=[duo]",
        "--retries",
        "0",
    ]
    done = new_project.snakemake(*ON_CPU, *nowhere, profile="slurm", **cluster.environment)
    assert done.code != 0
    (line,) = [line for line in done.text.splitlines() if line.startswith("sessionscribe: SLURM")]
    assert "invalid partition specified: nowhere" in line
    assert "sbatch call" not in done.text


@pytest.mark.timeout(300)
def test_what_was_submitted_is_cancelled_by_ctrl_c(new_project: Project, cluster: slurm.Slurm) -> None:
    one = ["--config", "sessions=[duo]"]
    how = [*ON_CPU, *one, "--cores", "2", "--profile", "profiles/slurm"]
    logs = new_project / ".snakemake/log"
    run = new_project.start("snakemake", *how, said=new_project / "said", **cluster.environment)
    try:
        slurm.wait_for(lambda: any("SLURM jobid" in log.read_text() for log in logs.glob("*")), 120)
        run.send_signal(signal.SIGINT)
        assert run.wait(180) != 0
    finally:
        run.kill()
    slurm.wait_for(lambda: cluster.ask("squeue", "--noheader", "--states", "pending,running") == "", 120)
    assert new_project.sessionscribe("run", "--stage", "ingest", *one).code == 0  # no manual step
