"""Rule synthesize_bank: write one split of the utterance bank."""

import logging
from pathlib import Path

from demo_models.bank import synthesize_bank

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO)  # type: ignore[name-defined]
job = snakemake  # type: ignore[name-defined]

synthesize_bank(
    Path(job.output.index).with_suffix(""),
    split=job.wildcards.split,
    speaker_count=job.params.speakers,
    hours=job.params.hours,
    seed=job.params.seed,
    processes=job.threads,
)
