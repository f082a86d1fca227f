"""Rule check_models: see rules/preflight.smk."""

from pathlib import Path

from sessionscribe.preflight import check_models
from sessionscribe.runtime import job

task, made = snakemake.params.task, dict(snakemake.output.items())
with job(snakemake.rule, task, log=snakemake.log[0], outputs=made) as say:
    check_models(**task, output=Path(made["report"]), log=say)
