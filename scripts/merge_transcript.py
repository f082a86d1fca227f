"""Rule merge_transcript: see rules/merge.smk."""

from pathlib import Path

from sessionscribe.artifacts.chunk_transcript import ChunkTranscript
from sessionscribe.artifacts.plan import ChunkPlan, Timeline
from sessionscribe.config.settings import Merge
from sessionscribe.jobs.job import job
from sessionscribe.planning.results import read_settings
from sessionscribe.stages.chunk.chunk import chunk_files
from sessionscribe.stages.merge.merge import merge_transcript

settings, made = read_settings(snakemake.input.settings), dict(snakemake.output.items())
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made) as say:
    plans = ChunkPlan.read_all(snakemake.input.plans)
    say.inputs = chunk_files(plans, Path(settings["chunks"]))
    merged = merge_transcript(
        timeline=Timeline.read(Path(snakemake.input.timeline)),
        plans=plans,
        chunks=ChunkTranscript.read_all(say.inputs),
        options=Merge(**settings["options"]),
        output=Path(made["merged"]),
    )
    say(f"{merged.chunks} chunks, {len(merged.segments)} segments")
