"""Rule check_models: see rules/preflight.smk."""

from pathlib import Path

from sessionscribe.preflight import check_models
from sessionscribe.runtime import job

models, made = snakemake.params.models, dict(snakemake.output.items())
with job(snakemake.rule, {}, log=snakemake.log[0], outputs=made) as say:
    check_models(**models, output=Path(made["report"]), log=say)
