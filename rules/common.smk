"""The plan (what is there, what is due) and what all rules share. No network, no heavy import."""

import functools
import gc
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


if Path("config/local.yaml").is_file():  # a person's own settings

    configfile: "config/local.yaml"


if workflow.is_main_process:
    for problem in put_in_place():
        print(f"sessionscribe: {problem}", file=sys.stderr)

try:
    if workflow.is_main_process:
        warning = command_line.profile_of_another(sys.argv[1:], Path(workflow.basedir))
        if warning:
            print(f"sessionscribe: {warning}", file=sys.stderr)
        for file in workflow.configfiles:
            loading.read(Path(file))  # Snakemake would ignore all but the last of equal keys
    PLAN = planning.Plan(loading.validate(config))
except errors.UserError as error:
    raise WorkflowError(str(error))
# Threads of an engine. Profiles count one core for it, as they limit the jobs with a model (`gpu`).
MODEL_CPUS = min(4, workflow.cores or 4)


if workflow.is_main_process:
    # A large DAG is a million objects: with the default threshold, collecting garbage takes a quarter of the time.
    gc.freeze()
    gc.set_threshold(20_000)
    # No output is ever half written, so what a killed run left behind needs no manual step.
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
    for remark in PLAN.warnings:
        print(f"sessionscribe: {remark}", file=sys.stderr)


@functools.cache
def plan():
    """Return the plan, once it holds what the user asks for to be due.

    The only look inside Snakemake: what is forced is no news to it, but decides which other jobs are in its DAG; and
    behind a file that is asked for by its name, and is there, it does not look for one that is due. Called by every
    input function, since the settings of the DAG are not known before. A test guards these names.
    """
    asked = workflow.dag_settings
    PLAN.until = tuple(asked.until)
    if workflow.is_main_process:
        PLAN.force(map(str, asked.forcerun), everything=asked.forceall)
        if asked.targets:
            workflow.dag.forcefiles.update(PLAN.due)
    return PLAN


onstart:
    # Snakemake's handler takes a lock that its main thread may hold.
    signals.handle_in_thread(signal.SIGTERM)
    PLAN.remove_records()
    workspace.bring_to_present(PLAN.existing_inputs())


def finish():
    """Let go of the copies of recordings of which all is made: the sessions are looked at once more."""
    from sessionscribe.sharing import copies
    from sessionscribe.storage import locations

    Path(preflight()).unlink(missing_ok=True)  # the next run looks for the models again
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
        from sessionscribe.cli import report  # with all that a run can do: 2 MB

        shown = [path for path in report.files(PLAN.sessions) if Path(path).exists()]
    return [*plan().targets(), *shown]


def reported_of(wildcards):
    """Return the files of a session that its part of the report is made of."""
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
    """Return an input as Snakemake is to see it.

    What this run makes triggers those that read it; anything else is no node of the DAG, and whole, whatever its
    time says. A step that is not due reads what is there; so does one that can do without what cannot be made.
    """
    if path in plan().due:
        return path if due else []
    if (not due or path in PLAN.unavailable) and not Path(path).exists():
        return []
    if PLAN.whole:
        return ancient(path)
    return before_update(ancient(path))


def inputs_of(rule):
    """Return the input function for what a job reads, by name, the settings file of its step among it."""

    def inputs(wildcards):
        step = step_of(rule, wildcards)
        due = step.outputs[0] in plan().due
        found = {}
        for name, value in plan().inputs(step).items():
            if isinstance(value, str):
                found[name] = given(value, due)
            else:
                found[name] = [file for path in value if (file := given(path, due))]
        # What needs a model waits until it is checked.
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
    """Return the priority function of a rule's jobs: later stages first, so that models never wait, then by session."""

    def number(wildcards):
        return priority.MOST * stage + session_priorities().get(wildcards.session, 0)

    return number


def settings_of(rule):
    """Return the params function for what a job is told whose outputs lie in a folder named by the key."""

    def told(wildcards):
        return step_of(rule, wildcards).settings

    return told


def machine_of(rule):
    """Return the params function for what is about this machine, and no matter of the result."""

    def told(wildcards):
        return dict(step_of(rule, wildcards).machine)

    return told


def noted_settings(wildcards):
    return plan().settings(wildcards.session, wildcards.step, wildcards.fp)


def needed_models(wildcards):
    return plan().preflight_task()
