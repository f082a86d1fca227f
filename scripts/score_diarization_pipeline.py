"""Rule score_diarization_pipeline: see rules/demo_models.smk."""

import logging
from pathlib import Path

from demo_models.diarization_pipeline import score_recordings
from sessionscribe.evaluation.evaluate import Options
from sessionscribe.evaluation.report import tables, write_json

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, format="%(asctime)s %(message)s")
pipeline = Path(snakemake.input.config).parent
scores = score_recordings(pipeline, Path(snakemake.input.recordings[0]).parent, threads=snakemake.threads)
write_json(scores, Options(), Path(snakemake.output.scores))
logging.info("\n%s", tables(scores, Options()))
