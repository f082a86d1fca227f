"""What is submitted to services elsewhere: its command, its time, and what is needed for it."""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

from sessionscribe.artifacts.provenance import JobUsage
from sessionscribe.runners import submitted
from snakemake_executor_plugin_kubernetes_warm import parse_volumes
from snakemake_executor_plugin_warm.submission import ContainerSubmission, sessions_of, time_limit_s

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


class Plugin(RemoteExecutor):
    """What the executors of the plugins are to `Submission`."""

    def run_job(self, job: Any) -> None: ...

    def check_active_jobs(self, active_jobs: Any) -> Any: ...

    def cancel_jobs(self, active_jobs: Any) -> None: ...

    def format_job_exec(self, job: Any) -> str:
        return "echo \"in $PWD with '$PYTHONPATH' and $HF_HOME\" && exit 3"


class Executor(ContainerSubmission, Plugin):
    runner = "cluster"

    def __init__(self, folder: Path) -> None:
        self._tmpdir = str(folder)


def job(**resources: int) -> SimpleNamespace:
    jobs = [SimpleNamespace(wildcards={"session": name}) for name in ("talk", "duo", "talk")]
    return SimpleNamespace(jobid="7", attempt=1, resources=resources, is_group=lambda: True, jobs=jobs)


def submit(
    folder: Path, monkeypatch: pytest.MonkeyPatch, **resources: int
) -> subprocess.CompletedProcess[str]:
    """Run a submission's command as a service would: elsewhere, without this environment."""
    project = folder / "the project"
    (project / "logs").mkdir(parents=True)
    (project / "scripts").symlink_to(SCRIPTS)
    monkeypatch.chdir(project)
    command = Executor(project).format_job_exec(job(**resources))
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return subprocess.run(
        ["/bin/sh", "-c", command], cwd="/", env={"PATH": path}, capture_output=True, text=True, check=False
    )


def test_a_submission_works_in_the_project_with_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", "/volume/models of the hub")
    done = submit(tmp_path, monkeypatch, runtime=5)
    project = tmp_path / "the project"
    assert done.stdout == f"in {project} with '{project}/scripts' and /volume/models of the hub\n"
    assert done.returncode == 3
    (line,) = (project / "logs/usage/runners.jsonl").read_text().splitlines()
    assert json.loads(line)["runner"] == "cluster"


def test_a_submission_is_ended_after_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snakemake_executor_plugin_warm.submission.time_limit_s", lambda _: 1)
    monkeypatch.setattr(Plugin, "format_job_exec", lambda *_: "exec sleep 60")
    assert submit(tmp_path, monkeypatch).returncode == 124


def test_the_time_of_a_submission_is_that_of_its_jobs() -> None:
    assert time_limit_s(job(runtime=90)) == 5400
    assert time_limit_s(job()) == 24 * 3600


def test_the_sessions_of_a_submission_are_those_of_its_jobs() -> None:
    assert sessions_of(job()) == ["duo", "talk"]


def used(session: str, host: str) -> JobUsage:
    times = dict.fromkeys(("queued_s", "cpu_s", "gpu_s", "peak_memory_mb", "peak_gpu_memory_mb"), 0.0)
    return JobUsage(
        session=session, rule="transcribe_chunk", output="o", ok=True, started="", host=host,
        wall_s=5.0, audio_s=600.0, **times,
    )  # fmt: skip


def noted() -> list[Any]:
    return [json.loads(line)["work"] for line in Path("logs/usage/runners.jsonl").read_text().splitlines()]


ONE_JOB = {"talk": {"transcribe_chunk": {"jobs": 1, "seconds": 5.0, "audio_s": 600.0}}}


def test_only_its_own_jobs_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = submitted.platform.node()
    for session, host in (("talk", here), ("duo", here), ("talk", "x")):
        used(session, host).write(tmp_path / f"logs/usage/{session}/{host}.json")
    assert submitted.run_noted("slurm", ["talk"], ["true"]) == 0
    assert noted() == [ONE_JOB]


def test_a_damaged_record_costs_neither_the_other_ones_nor_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "logs/usage/talk"
    whole = used("talk", submitted.platform.node())
    whole.write(folder / "b.json")
    (folder / "a.json").write_text(whole.text()[:40])
    (folder / "c.json").symlink_to("vanished")
    assert submitted.run_noted("slurm", ["talk"], ["false"]) == 1
    assert submitted.run_noted("slurm", ["talk"], ["true"]) == 0
    assert noted() == [ONE_JOB, ONE_JOB]
    assert "a.json" in capsys.readouterr().err


class Service(ContainerSubmission, Plugin):
    """Takes what it is told to; what is refused, raises."""

    runner = "cluster"

    def __init__(self, *takes: bool) -> None:
        self.takes, self.failed, self.logger = list(takes), list[Any](), logging.getLogger("service")

    def submit(self, job: Any) -> None:
        if not self.takes.pop(0):
            raise WorkflowError(f"{job} is refused")

    def report_job_error(self, job_info: Any) -> None:  # type: ignore[override]
        self.failed.append(job_info.job)


def test_a_refused_submission_costs_its_job_and_all_if_none_was_ever_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = Service(True, False, True)
    for name in ("one", "two", "three"):
        service.run_job(name)
    assert service.failed == ["two"]
    assert caplog.messages == ["sessionscribe: two is refused"]
    with pytest.raises(WorkflowError, match="one is refused"):
        Service(False).run_job("one")


def test_volumes_are_claims_with_a_place() -> None:
    assert parse_volumes(["a:/b"]) == [("a", "/b")]
    with pytest.raises(WorkflowError, match="claim:/path"):
        parse_volumes(["a"])


@pytest.mark.parametrize("name", ["kubernetes", "aws_batch", "googlebatch"])
def test_without_a_package_one_line_says_what_to_do(name: str) -> None:
    if importlib.util.find_spec(f"snakemake_executor_plugin_{name}"):
        pytest.skip("it is installed here")
    plugin = importlib.import_module(f"snakemake_executor_plugin_{name}_warm")
    package = f"snakemake-executor-plugin-{name.replace('_', '-')}"
    with pytest.raises(WorkflowError, match=f"{package} is not installed .*requirements-clouds"):
        plugin.Executor(None, None)
