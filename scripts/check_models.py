"""Rule check_models: see rules/preflight.smk."""

from pathlib import Path

from sessionscribe.jobs.job import job
from sessionscribe.stages.preflight.preflight import check_models

models, made = snakemake.params.models, dict(snakemake.output.items())
with job(snakemake.rule, {}, log=snakemake.log[0], outputs=made) as say:
    check_models(**models, output=Path(made["report"]), log=say)
