"""Rule train_segmentation_model: see rules/demo_models.smk."""

import logging
from pathlib import Path

from demo_models.segmentation_training import SegmentationOptions, train_segmentation

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, format="%(asctime)s %(message)s")
train_segmentation(
    voices_prefix=Path(snakemake.input.voices).with_suffix(""),
    tuning_prefix=Path(snakemake.input.tuning).with_suffix(""),
    embedding_voices=Path(snakemake.input.similar),
    state_path=Path(snakemake.params.state),
    output=Path(snakemake.output.model),
    options=SegmentationOptions(threads=snakemake.threads, **snakemake.params.options),
)
