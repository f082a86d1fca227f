"""Rule note_settings: see rules/settings.smk."""

from pathlib import Path

from sessionscribe.jobs.job import job
from sessionscribe.planning.results import write_settings

settings, made = snakemake.params.settings, dict(snakemake.output.items())
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made, usage=False):
    write_settings(Path(made["settings"]), settings)
