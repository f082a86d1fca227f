"""Rule export_speech_model: see rules/demo_models.smk."""

import logging
from pathlib import Path

from demo_models.speech_export import export_speech_model

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, format="%(asctime)s %(message)s")
sizes = export_speech_model(
    snakemake.input.checkpoint, snakemake.input.tokenizer, Path(snakemake.output.model).parent
)
logging.info("%s", sizes)
