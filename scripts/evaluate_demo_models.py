"""Rule evaluate_demo_models: see rules/demo_models.smk."""

import logging
from pathlib import Path

from demo_models.evaluation import score_folder, table, write_scores

logging.basicConfig(filename=snakemake.log[0], level=logging.INFO, format="%(asctime)s %(message)s")
scores = score_folder(Path(snakemake.params.export), Path(snakemake.input.truth[0]).parent)
write_scores(scores, Path(snakemake.output.scores))
logging.info("\n%s", table(scores))
print(table(scores))
