"""Rule train_speech_model: see rules/demo_models.smk."""

import logging
from pathlib import Path

from demo_models.speech_train import TrainOptions, train_speech_model

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, format="%(asctime)s %(message)s")
options = TrainOptions(threads=snakemake.threads, **snakemake.params.options)
train_speech_model(
    Path(snakemake.input.index).with_suffix(""),
    Path(snakemake.params.folder),
    options,
    checkpoint=Path(snakemake.output.checkpoint),
    tokenizer_file=Path(snakemake.output.tokenizer),
)
