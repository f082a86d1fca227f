"""The profile `slurm` on a real Slurm of one node: the local run's bytes, one load per submission."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from collections.abc import Iterator

import pytest

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
    assert new_project.sessionscribe("run", "--quiet", *one).code == 0  # no manual step
