"""Rule synthesize_bank: see rules/demo_models.smk."""

import logging
from pathlib import Path

from demo_models.bank import synthesize_bank

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, format="%(asctime)s %(message)s")
options = snakemake.params.options
synthesize_bank(
    Path(snakemake.output.index).with_suffix(""),
    split=snakemake.wildcards.split,
    speaker_count=options["speakers"],
    hours=options["hours"],
    seed=options["seed"],
    processes=snakemake.threads,
)
