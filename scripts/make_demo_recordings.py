"""Rule make_demo_recordings: see rules/demo_models.smk."""

import logging
from pathlib import Path

from demo_models.sessions import DemoPlan, make_demo_recordings

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, format="%(asctime)s %(message)s")
make_demo_recordings(
    bank_prefix=Path(snakemake.input.index).with_suffix(""),
    recordings=Path(snakemake.output.meeting).parent,
    truth=Path(snakemake.output.truth[0]).parent,
    plan=DemoPlan(**snakemake.params.plan),
)
