"""Rule synthesize_heldout: see rules/demo_models.smk."""

import logging
from pathlib import Path

from demo_models.sessions import synthesize_heldout

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, format="%(asctime)s %(message)s")
synthesize_heldout(
    bank_prefix=Path(snakemake.input.index).with_suffix(""),
    folder=Path(snakemake.output.recordings[0]).parent,
    count=len(snakemake.output.recordings),
    duration_s=snakemake.params.duration_s,
    first_seed=snakemake.params.first_seed,
)
