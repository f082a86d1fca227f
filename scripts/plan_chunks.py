"""Rule plan_chunks: see rules/chunk.smk."""

from pathlib import Path

from sessionscribe.chunk import plan_chunks
from sessionscribe.config import Chunk
from sessionscribe.runtime import job

task, made = snakemake.params.task, dict(snakemake.output.items())
with job(snakemake.rule, task, log=snakemake.log[0], outputs=made) as say:
    plan = plan_chunks(
        audio=Path(snakemake.input.audio),
        session=task["session"],
        track=task["track"],
        chunks=task["chunks"],
        options=Chunk(**task["options"]),
        output=Path(made["plan"]),
    )
    say(f"{len(plan.cores)} chunks, {len(plan.speech)} stretches of speech")
