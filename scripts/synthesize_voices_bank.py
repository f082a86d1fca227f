"""Rule synthesize_voices_bank: see rules/demo_models.smk."""

import logging
from pathlib import Path

from demo_models.bank import UtteranceBank
from demo_models.voices_bank import synthesize_voices_bank

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, format="%(asctime)s %(message)s")
bank = UtteranceBank(Path(snakemake.input.index).with_suffix(""))
synthesize_voices_bank(bank, Path(snakemake.output.index).with_suffix(""), **snakemake.params.options)
