"""The plan and what all rules share. No network, no heavy imports."""

import functools
import gc
import os
import signal
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from sessionscribe.cli import workflow as command_line
from sessionscribe.config import loading
from sessionscribe.core import errors, signals
from sessionscribe.formats import registry
from sessionscribe.jobs import workspace
from sessionscribe.manifest import names
from sessionscribe.planning import plan as planning
from sessionscribe.planning import priority
from sessionscribe.publish.unpack import put_in_place
from snakemake_logger_plugin_sessionscribe import LogHandler


wildcard_constraints:
    session=names.NAME.pattern,
    track=names.NAME.pattern,
    step=rf"[a-z_]+(\.{names.NAME.pattern})?",
    fp="[0-9a-f]{12}",
    index="[0-9]+",


if os.path.lexists("config/local.yaml"):  # the user's own settings

    configfile: "config/local.yaml"


if workflow.is_main_process:
    for problem in put_in_place():
        print(f"sessionscribe: {problem}", file=sys.stderr)

try:
    if workflow.is_main_process:
        warning = command_line.profile_of_another(sys.argv[1:], Path(workflow.basedir))
        if warning:
            print(f"sessionscribe: {warning}", file=sys.stderr)
        # Snakemake keeps the last of equal keys; this refuses them.
        for file in workflow.configfiles:
            loading.read(Path(file))
    PLAN = planning.Plan(loading.validate(config))
except errors.UserError as error:
    raise WorkflowError(str(error))
# Threads of an engine. Profiles count one core for it, because they limit the jobs with a model (`gpu`).
MODEL_CPUS = min(4, workflow.cores or 4)


if workflow.is_main_process:
    # A large DAG is a million objects: with the default threshold, collecting garbage takes a quarter of the time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)
    # Outputs are never half written, so after a killed run nothing has to be done by hand.
    PLAN.whole = command_line.shows_finished(sys.argv[1:])
    LogHandler.audio = PLAN.audio
    try:
        folders = (".snakemake", *(() if workflow.dryrun else ("logs", "results")))
        workspace.check_writable(map(Path, folders))
        workspace.release_stale_locks(Path(".snakemake"))
    except OSError as error:
        LogHandler.exit_code = errors.exit_code(error)
        raise WorkflowError(errors.describe(error, str(Path.cwd())))
    if not PLAN.sessions:
        print(f"sessionscribe: {planning.NO_SESSIONS}", file=sys.stderr)
    for warning in PLAN.warnings:
        print(f"sessionscribe: {warning}", file=sys.stderr)


@functools.cache
def plan():
    """Return the plan, in which the files and rules that the user forces are due.

    All input functions call this, because Snakemake's settings of the DAG are not known earlier. Snakemake does not
    look behind an existing file that is requested by name; so what is due is forced (`forcefiles`, the only
    undocumented name; a test guards it).
    """
    request = workflow.dag_settings
    PLAN.until = tuple(request.until)
    if workflow.is_main_process:
        PLAN.force(map(str, request.forcerun), everything=request.forceall)
        if request.targets:
            workflow.dag.forcefiles.update(PLAN.due)
    return PLAN


onstart:
    # Snakemake's handler takes a lock that the main thread may hold.
    signals.handle_in_thread(signal.SIGTERM)
    PLAN.remove_records()
    workspace.bring_to_present(PLAN.existing_inputs())


def finish():
    """Release the cached recordings of finished sessions; this scans the sessions again."""
    from sessionscribe.sharing import copies
    from sessionscribe.storage import locations

    Path(preflight()).unlink(missing_ok=True)  # the next run checks the models again
    sessions = PLAN.sessions.values()
    if any(locations.is_remote(row.source) for s in sessions for row in s.session.rows):
        options = loading.validate(config)
        copies.release(planning.Plan(options), options.ingest)


onsuccess:
    finish()


onerror:
    finish()


@functools.cache
def preflight():
    return plan().preflight()


def targets(wildcards):
    shown = []
    if PLAN.whole:
        from sessionscribe.cli import report  # imports 2 MB

        shown = [path for path in report.files(PLAN.sessions) if Path(path).exists()]
    return [*plan().targets(), *shown]


def reported_of(wildcards):
    """Return the files that the report of a session is made of."""
    found = plan().inputs(plan().step("write_export", dict(wildcards.items())))
    return {
        "transcript": given(found["transcript"], due=True),
        "audit": given(f"results/audit/{wildcards.session}.json", due=True),
    }


def audits(wildcards):
    return [
        given(f"results/audit/{session}.json", due=True) for session in PLAN.sessions
    ]


def step_of(rule, wildcards):
    return plan().step(rule, dict(wildcards.items()))


def given(path, due):
    """Return an input file for Snakemake, or nothing.

    Files that this run makes are plain paths, so they trigger the jobs that read them. All others are no nodes of
    the DAG, and their times do not matter. Jobs that are not due read what exists, and jobs that can do without an
    unavailable file skip it.
    """
    if path in plan().due:
        return path if due else []
    if (not due or path in PLAN.unavailable) and not Path(path).exists():
        return []
    if PLAN.whole:
        return ancient(path)
    return before_update(ancient(path))


def inputs_of(rule):
    """Return the input function of a rule: all files by name, including the settings file."""

    def inputs(wildcards):
        step = step_of(rule, wildcards)
        due = step.outputs[0] in plan().due
        found = {}
        for name, value in plan().inputs(step).items():
            if isinstance(value, str):
                found[name] = given(value, due)
            else:
                found[name] = [file for path in value if (file := given(path, due))]
        # Jobs with a model wait until it is checked.
        if workflow.is_main_process and plan().awaits_models(step):
            found["models"] = preflight()
        return found

    return inputs


@functools.cache
def session_priorities():
    planned = PLAN.sessions.values()
    return priority.priorities(
        (s.session for s in planned if s.pending), loading.validate(config).batch
    )


def by_session(stage):
    """Return the priority function of a rule: later stages first, so that models never wait, then by session."""

    def job_priority(wildcards):
        return priority.MOST * stage + session_priorities().get(wildcards.session, 0)

    return job_priority


def settings_of(rule):
    """Return the params function for the settings of a job."""

    def settings(wildcards):
        return step_of(rule, wildcards).settings

    return settings


def machine_of(rule):
    """Return the params function for settings of this machine, which do not affect results."""

    def machine(wildcards):
        return dict(step_of(rule, wildcards).machine)

    return machine


def needed_models(wildcards):
    return plan().preflight_task()
