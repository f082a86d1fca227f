"""Rule assemble_diarization_pipeline: see rules/demo_models.smk."""

import json
import logging
from pathlib import Path

from demo_models.diarization_pipeline import PipelineParameters, assemble

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, format="%(asctime)s %(message)s")
sources = [Path(path) for path in snakemake.input.models]
tuning = json.loads(Path(snakemake.input.tuning).read_text(encoding="utf-8"))
assemble(
    Path(snakemake.output.config).parent,
    {f"{path.parent.name}/{path.name}": path for path in sources},
    PipelineParameters(**tuning["parameters"]),
)
