"""Rule fit_plda: see rules/demo_models.smk."""

import logging
from pathlib import Path

from demo_models.plda import PldaOptions, fit_plda

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, format="%(asctime)s %(message)s")
fit_plda(
    bank_prefix=Path(snakemake.input.index).with_suffix(""),
    embedding=Path(snakemake.input.embedding),
    transform=Path(snakemake.output.transform),
    plda=Path(snakemake.output.plda),
    options=PldaOptions(threads=snakemake.threads, **snakemake.params.options),
)
