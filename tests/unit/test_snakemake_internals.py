"""Guards the parts of Snakemake that are no published interface and that we lean on.

Written for Snakemake 9.27.1. If one of these fails after an update, read rules/common.smk (`steer`),
scripts/sessionscribe/workspace.py and scripts/sessionscribe/run.py again before changing the version here.
"""

from __future__ import annotations

import importlib.util
import inspect
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import snakemake.api  # first: its modules import one another
import snakemake.workflow
from snakemake import dag, iocontainers, sourcecache
from snakemake.scheduling import job_scheduler
from snakemake.settings.types import DAGSettings

from sessionscribe import run, workspace

PINNED = "9.27.1"


def test_the_version_is_the_one_that_these_tests_were_written_for() -> None:
    assert snakemake.__version__ == PINNED


def test_forcefiles_is_a_set_that_is_read_when_jobs_are_chosen() -> None:
    source = inspect.getsource(dag.DAG)
    assert "self.forcefiles = set()" in source
    assert "not self.forcefiles.isdisjoint(job.output)" in source
    # Input functions run (in `update`) before jobs are chosen (in `update_needrun`).
    begin = inspect.getsource(dag.DAG.init)
    assert begin.index("self.update(") < begin.index("self.check_incomplete()")
    assert begin.index("self.check_incomplete()") < begin.index("self.update_needrun(")


def test_an_ancient_input_that_exists_does_not_trigger() -> None:
    assert "f.is_ancient and await f.exists()" in inspect.getsource(dag.DAG.update_needrun)


def test_an_input_from_before_an_update_has_no_producer() -> None:
    source = inspect.getsource(dag.DAG.collect_potential_dependencies)
    assert 'if is_flagged(file, "before_update"):' in source
    assert "yield PotentialDependency(file, None, False)" in source


def test_where_a_script_is_cached_depends_on_its_path_alone() -> None:
    entry = inspect.getsource(sourcecache.SourceCache._cache_entry)
    assert inspect.signature(sourcecache.SourceCache._cache_entry).parameters.keys() == {
        "self",
        "source_file",
    }
    assert "get_cache_path()" in entry
    assert "self._cache_entry(source_file)" in inspect.getsource(sourcecache.SourceCache._cache)


def test_a_function_with_a_signature_is_taken_at_its_word() -> None:
    from snakemake.common import get_function_params  # noqa: PLC0415

    def function(wildcards: object) -> None: ...

    function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    assert list(get_function_params(function)) == ["wildcards"]


def test_the_settings_of_the_dag_have_our_names_and_can_be_set() -> None:
    names = {field.name for field in fields(DAGSettings)}
    assert {"force_incomplete", "rerun_triggers", "forcerun", "forceall"} <= names
    settings = DAGSettings()
    settings.force_incomplete = True
    settings.rerun_triggers = frozenset()
    assert "dag_settings.force_incomplete" in inspect.getsource(dag.DAG.check_incomplete)
    assert "self.workflow.rerun_triggers" in inspect.getsource(dag.DAG.update_needrun)


def test_a_workflow_has_the_attributes_that_the_rules_use() -> None:
    made = inspect.getsource(snakemake.workflow.Workflow)
    for name in ("is_main_process", "dag", "basedir", "dag_settings"):
        assert f"def {name}(" in made or f"self.{name}" in made or f"    {name}: " in made, name


def test_lock_files_lie_where_we_look_for_them() -> None:
    from snakemake import persistence  # noqa: PLC0415

    folder = Path(inspect.getfile(persistence)).parent
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    assert '"locks"' in text
    assert ".lock" in text


def test_stale_locks_are_removed_and_a_living_ones_are_not(tmp_path: Path) -> None:
    folder = tmp_path / ".snakemake"
    lock = folder / "locks/0.input.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("results/a.json\n")
    before = len(workspace._held)
    workspace.release_stale_locks(folder)  # whoever made it does not hold the kernel lock
    assert not lock.exists()
    assert len(workspace._held) == before + 1
    lock.write_text("results/a.json\n")
    workspace.release_stale_locks(folder)  # we do, as a running Snakemake does
    assert lock.exists()


@pytest.mark.parametrize("rule", ["all", "transcribe_chunk"])
def test_finished_jobs_are_announced_as_the_progress_reads_them(rule: str) -> None:
    text = inspect.getsource(job_scheduler)
    assert 'f"Finished jobid: {job.jobid} (Rule: {job.rule.name})"' in text
    found = run.FINISHED.match(f"Finished jobid: 12 (Rule: {rule})")
    assert found
    assert found[1] == rule


def test_the_short_options_that_take_no_value_are_those_that_we_know() -> None:
    from snakemake.cli import get_argument_parser  # noqa: PLC0415

    actions = get_argument_parser()._actions
    short = {
        name[1] for action in actions if action.nargs == 0 for name in action.option_strings if name[2:] == ""
    }
    assert short == set(run.FLAGS)


def test_the_local_executor_has_what_the_warm_one_builds_on() -> None:
    from snakemake.benchmark import BenchmarkRecord, write_benchmark_records  # noqa: PLC0415
    from snakemake.executors import local  # noqa: PLC0415

    source = inspect.getsource(local.Executor)
    assert "future = self.run_single_job(job)" in source
    assert "def cached_or_run(self, job: SingleJobExecutorInterface, run_func, *args):" in source
    assert "except SpawnedJobError" in source  # ends a job without a message of Snakemake's own
    assert "self.workflow.async_run(job.prepare())" in source
    assert list(inspect.signature(write_benchmark_records).parameters) == ["records", "path", "extended_fmt"]
    record = BenchmarkRecord(running_time=2.0, max_rss=1.0, cpu_usage=100.0, cpu_time=1.0)
    record.data_collected = True
    assert record.mean_load() == 50.0
    assert len(record.get_benchmarks()) == len(record.get_header())


def test_the_limit_of_a_resource_is_found_where_the_warm_executor_looks() -> None:
    from snakemake.resources import Resources  # noqa: PLC0415

    assert Resources.parse(["gpu=2"], allow_expressions=False)["gpu"].value == 2
    assert "self.global_resources = self.resource_settings._parsed_resources" in inspect.getsource(
        snakemake.workflow.Workflow
    )


def test_the_schedulers_rate_limit_can_be_lifted_while_it_runs() -> None:
    assert "self.scheduler = JobScheduler(" in inspect.getsource(snakemake.workflow.Workflow)
    source = inspect.getsource(job_scheduler.JobScheduler)
    assert "self.job_rate_limiter = (" in source
    assert "if self.job_rate_limiter is None:" in source
    assert """self.resources["_job_count"] == sys.maxsize""" in source
    assert source.count("_schedule_reevalutation(self.job_rate_limiter.timespan)") == 1


def test_named_lists_tell_names_and_places_apart() -> None:
    from snakemake.iocontainers import Namedlist  # noqa: PLC0415

    made = Namedlist(["a", "b", "c", "d"])
    made._set_name("one", 0)
    made._set_name("many", 1, end=3)
    assert [(name, list(v) if isinstance(v, list) else v) for name, v in made._allitems()] == [
        ("one", "a"),
        ("many", ["b", "c"]),
        (None, "d"),
    ]


def test_the_scheduler_can_be_given_room_for_other_machines() -> None:
    source = inspect.getsource(job_scheduler.JobScheduler)
    assert "self.resources = copy.copy(self.global_resources)" in source
    assert "jobs, self.remaining_jobs, self.resources, self._input_sizes" in source
    assert "self._open_jobs = threading.Semaphore(0)" in source
    assert source.count("self._open_jobs.acquire()") >= 1
    from snakemake.executors import local  # noqa: PLC0415

    assert "ThreadPoolExecutor(max_workers=self.workers)" in inspect.getsource(local.Executor.__post_init__)


def test_what_the_dag_asks_of_every_job_needlessly_can_be_left_out() -> None:
    """Environments that nobody wants, and whether each job's script can be read: both ask for its params."""
    source = inspect.getsource(dag.DAG)
    assert source.count("self.update_conda_envs()") == 2
    assert "job.conda_env_spec" in inspect.getsource(dag.DAG.update_conda_envs)
    listed = source.partition("self.dag_processors: ")[2].partition("= [")[2].partition("]")[0]
    processors = {line.strip(" ,") for line in listed.splitlines() if line.strip()}
    assert processors == {"ScriptProcessor(self)", "WrapperProcessor(self)", "NotebookProcessor(self)"}


def test_a_start_imports_no_plugins_client_and_no_pandas() -> None:
    """Every start pays for what is imported then: a second and 30 MB each."""
    code = "import sys, snakemake.cli; print(*{'pandas', 'torch', 'kubernetes', 'boto3'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
    assert importlib.util.find_spec("boto3") is None, "smart_open, which opens the Snakefile, would import it"


def test_guards_of_lists_say_their_name_and_nothing_else() -> None:
    """All of one name may be the same object then, in this process and in one that a list is sent to."""
    source = inspect.getsource(iocontainers.AttributeGuard)
    assert [name for name in vars(iocontainers.AttributeGuard) if not name.startswith("__")] == []
    assert source.count("self.") == 2, "it is made with its name and tells it"
