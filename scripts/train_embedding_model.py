"""Rule train_embedding_model: see rules/demo_models.smk."""

import logging
from pathlib import Path

from demo_models.embedding_training import EmbeddingOptions, train_embedding

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, format="%(asctime)s %(message)s")
train_embedding(
    voices_prefix=Path(snakemake.input.voices).with_suffix(""),
    tuning_prefix=Path(snakemake.input.tuning).with_suffix(""),
    state_path=Path(snakemake.params.state),
    output=Path(snakemake.output.model),
    voices=Path(snakemake.output.voices),
    options=EmbeddingOptions(threads=snakemake.threads, **snakemake.params.options),
)
