"""Rule plan_chunks: see rules/chunk.smk."""

from pathlib import Path

from sessionscribe.config.settings import Chunk
from sessionscribe.jobs.job import job
from sessionscribe.planning.results import read_settings
from sessionscribe.stages.chunk.chunk import plan_chunks

settings, made = read_settings(snakemake.input.settings), dict(snakemake.output.items())
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made) as say:
    plan = plan_chunks(
        audio=Path(snakemake.input.audio),
        session=settings["session"],
        track=settings["track"],
        chunks=settings["chunks"],
        length_s=settings.get("length_s"),
        alone=settings["alone"],
        options=Chunk(**settings["options"]),
        output=Path(made["plan"]),
    )
    say(f"{len(plan.cores)} chunks, {len(plan.speech)} stretches of speech")
