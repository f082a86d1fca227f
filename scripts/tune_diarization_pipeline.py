"""Rule tune_diarization_pipeline: see rules/demo_models.smk."""

import logging
from pathlib import Path

from demo_models.diarization_pipeline import (
    PipelineParameters,
    assemble,
    tune_to_file,
    validation_conversations,
)

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, format="%(asctime)s %(message)s")
folder = Path(snakemake.params.folder)
sources = [Path(path) for path in snakemake.input.models]
assemble(folder, {f"{path.parent.name}/{path.name}": path for path in sources}, PipelineParameters())
bank = Path(snakemake.input.index).with_suffix("")
talks = validation_conversations(bank, **snakemake.params.conversations)
tune_to_file(folder, talks, Path(snakemake.output.tuning), threads=snakemake.threads)
