"""The agenda (what is there, what is to do) and what all rules share. No network, no heavy import."""

import functools
import gc
import inspect
import sys
from pathlib import Path

from snakemake import iocontainers
from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from sessionscribe import (
    agenda,
    config as settings,
    errors,
    formats,
    manifest,
    workspace,
)
from sessionscribe.publish import unpack


wildcard_constraints:
    session=manifest.NAME.pattern,
    track=manifest.NAME.pattern,
    fp="[0-9a-f]{12}",
    index="[0-9]+",


if workflow.is_main_process:
    for problem in unpack.put_in_place():
        print(f"sessionscribe: {problem}", file=sys.stderr)

try:
    AGENDA = agenda.Agenda(settings.validate(config))
except errors.UserError as error:
    raise WorkflowError(str(error))
# Threads of an engine. Where `gpu` limits the jobs with a model, Snakemake counts one core for each: an engine does
# not keep all of its threads busy, and other jobs get on beside it instead of waiting for several free cores.
MODEL_CPUS = min(4, workflow.resource_settings.cores or 4)
MODEL_CORES = 1 if "gpu" in workflow.global_resources else MODEL_CPUS


def new_guard(kind, name=""):
    """Return a guard of a list's methods, before it knows its name."""
    return object.__new__(kind)


if workflow.is_main_process:
    # No output is ever half written, so what a killed run left behind needs no manual step.
    workspace.release_stale_locks(Path(".snakemake"))
    for remark in AGENDA.remarks:
        print(f"sessionscribe: {remark}", file=sys.stderr)
    # A DAG is very many objects that stay: to look for garbage among them at the usual rate takes a seventh of
    # the time to build it.
    gc.set_threshold(50_000)
    # Snakemake looks up the script of every job three times, a quarter of what a job costs it.
    workflow.sourcecache._cache_entry = functools.cache(
        workflow.sourcecache._cache_entry
    )
    # Each list of files or names has two guards of its own, all alike: five megabytes of an archive's DAG.
    iocontainers.AttributeGuard.__new__ = functools.cache(new_guard)


@functools.cache
def steer():
    """Tell Snakemake what to make: known by content, it need not guess from times, code or its metadata.

    Called by every input function, so that it is done while the DAG is built, whatever the targets are: the
    settings are known then and nothing is decided yet. `forcefiles` is what `--forcerun` fills. A test guards
    these names, which are no published interface.
    """
    if workflow.is_main_process:
        asked = workflow.dag_settings
        AGENDA.force(map(str, asked.forcerun), everything=asked.forceall)
        workflow.dag.forcefiles.update(AGENDA.forced())
        workflow.dag_settings.force_incomplete = True
        workflow.dag_settings.rerun_triggers = frozenset()
        # Snakemake asks every job for its environment, wanted or not, and for its params on the way.
        if DeploymentMethod.CONDA not in workflow.deployment_settings.deployment_method:
            workflow.dag.update_conda_envs = bool
        workflow.dag.dag_processors.clear()


FOUND = set()  # inputs that this run does not make


onstart:
    workspace.note_at_work(Path(".snakemake"))
    AGENDA.forget()
    workspace.bring_to_present(FOUND)


def release_copies():
    """Let go of the copies of recordings of which all is made: the sessions are looked at once more."""
    from sessionscribe.storage import locations, recordings

    sessions = AGENDA.sessions.values()
    if any(locations.is_remote(row.source) for s in sessions for row in s.session.rows):
        options = settings.validate(config)
        recordings.release(agenda.Agenda(options), options.ingest)


onsuccess:
    release_copies()


onerror:
    release_copies()


def pending_outputs(wildcards):
    steer()
    return AGENDA.targets()


def models_task(wildcards):
    return AGENDA.preflight_task(workflow.dag_settings.until)


def signed(function):
    """Keep a function's signature, which Snakemake asks for several times per job and Python works out anew."""
    function.__signature__ = inspect.signature(function)
    return function


def task_of(pattern):
    """Return the params function of the job that makes a file: what the job is told, as one plain dict."""

    @signed
    def task(wildcards):
        return AGENDA.task(pattern.format(**wildcards))

    return task


def sure(path):
    """Let a file trigger its consumers only where this run makes it; else it is whole, whatever its time says.

    (Were all inputs `ancient`, Snakemake would overlook a missing output behind a job that runs.)
    """
    steer()
    if AGENDA.is_pending(path):
        return path
    FOUND.add(path)
    return before_update(ancient(path))


def made(pattern):
    """Return the input function of a file that is to be made first, or is there."""

    @signed
    def path(wildcards):
        return sure(pattern.format(**wildcards))

    return path


def made_if_due(pattern, needed):
    """Return the input function of a file that the job that makes `pattern` needs only where it is to run."""

    @signed
    def path(wildcards):
        due = AGENDA.is_pending(pattern.format(**wildcards))
        return sure(needed.format(**wildcards)) if due else []

    return path


def made_for(pattern, name):
    """Return the input function of the files that the task of the job that makes `pattern` lists."""

    @signed
    def paths(wildcards):
        return [sure(path) for path in AGENDA.task(pattern.format(**wildcards))[name]]

    return paths


def given_for(pattern, name):
    """Return the input function of listed files that no rule makes."""

    @signed
    def paths(wildcards):
        return [
            ancient(path) for path in AGENDA.task(pattern.format(**wildcards))[name]
        ]

    return paths


def awaited_for(pattern, *names):
    """Return the input function of those listed files that this run makes; the others are no nodes.

    For what is dear and known by content: an upstream file that is made again, the same as before, must not
    redo it, and finished chunks must not weigh on the DAG.
    """

    @signed
    def paths(wildcards):
        task = AGENDA.task(pattern.format(**wildcards))
        return AGENDA.awaited(path for name in names for path in task[name])

    return paths


def checked_models(pattern):
    """Return the input function that lets a job wait for the check of the models, where models are needed."""

    @signed
    def paths(wildcards):
        steer()
        return (
            [agenda.PREFLIGHT]
            if AGENDA.awaits_models(pattern.format(**wildcards))
            else []
        )

    return paths
