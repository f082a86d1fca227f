"""The agenda (what is there, what is to do) and what all rules share. No network, no heavy import."""

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from sessionscribe import agenda, config as settings, errors, manifest, workspace


wildcard_constraints:
    session=manifest.NAME.pattern,
    track=manifest.NAME.pattern,
    fp="[0-9a-f]{12}",
    index="[0-9]+",
    format="[a-z]+",


try:
    AGENDA = agenda.Agenda(settings.validate(config))
except errors.UserError as error:
    raise WorkflowError(str(error))

if workflow.is_main_process:
    # No output is ever half written, so what a killed run left behind needs no manual step.
    workspace.release_stale_locks(Path(".snakemake"))


def steer():
    """Tell Snakemake what to make: known by content, it need not guess from times, code or its metadata.

    Called while the DAG is built, when the settings are known and nothing is decided yet: `forcefiles` is
    what `--forcerun` fills. A test guards these names, which are no published interface.
    """
    if workflow.is_main_process:
        workflow.dag.forcefiles.update(AGENDA.forced())
        workflow.dag_settings.force_incomplete = True
        workflow.dag_settings.rerun_triggers = frozenset()


onstart:
    AGENDA.forget()


def pending_outputs(wildcards):
    steer()
    return AGENDA.outputs()


def checked_models(wildcards):
    """Ask for the check of the models first, where this run needs models at all."""
    steer()
    return [agenda.PREFLIGHT] if AGENDA.needs_models() else []


# preflight


def models_task(wildcards):
    return AGENDA.preflight_task()


# ingest


def ingest_task(wildcards):
    return AGENDA.task(f"results/ingest/{wildcards.session}/{wildcards.track}.json")


# convert


def convert_task(wildcards):
    return AGENDA.task(f"results/convert/{wildcards.session}/{wildcards.track}.flac")


# chunk


def plan_task(wildcards):
    return AGENDA.task(f"results/chunk/{wildcards.session}/{wildcards.track}.plan.json")


def timeline_task(wildcards):
    return AGENDA.task(f"results/chunk/{wildcards.session}.timeline.json")


def timeline_plans(wildcards):
    return timeline_task(wildcards)["plans"]


# transcribe


def language_task(wildcards):
    return AGENDA.task(
        f"results/transcribe/{wildcards.session}/{wildcards.fp}/language.json"
    )


def language_plans(wildcards):
    return language_task(wildcards)["plans"]


def language_audio(wildcards):
    return language_task(wildcards)["audio"]


def transcribe_task(wildcards):
    name = f"{wildcards.track}.{wildcards.index}.json"
    return AGENDA.task(f"results/transcribe/{wildcards.session}/{wildcards.fp}/{name}")


# merge


def merge_task(wildcards):
    return AGENDA.task(f"results/merge/{wildcards.session}.json")


def merge_plans(wildcards):
    return merge_task(wildcards)["plans"]


def merge_pending_chunks(wildcards):
    """Only the chunks that this run makes are nodes of the DAG; the others lie there, known to be whole."""
    return AGENDA.pending_paths(merge_task(wildcards)["chunks"])


def merge_language(wildcards):
    return merge_task(wildcards)["language"]


# diarize


def turns_task(wildcards):
    return AGENDA.task(f"results/diarize/{wildcards.session}.turns.json")


def assign_task(wildcards):
    return AGENDA.task(f"results/diarize/{wildcards.session}.json")


def turns_audio(wildcards):
    return turns_task(wildcards)["audio"]


def turns_plans(wildcards):
    return turns_task(wildcards)["plans"]


def turns_models(wildcards):
    """Tracks are one speaker's each: they need no model."""
    return (
        [] if turns_task(wildcards)["method"] == "tracks" else checked_models(wildcards)
    )


# export


def export_task(wildcards):
    return AGENDA.task(
        f"results/export/{wildcards.session}/{wildcards.session}.{wildcards.format}"
    )
