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
