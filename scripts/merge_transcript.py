"""Rule merge_transcript: see rules/merge.smk."""

from pathlib import Path

from sessionscribe.artifacts import ChunkTranscript, Plan, Timeline
from sessionscribe.config import Merge
from sessionscribe.merge import merge_transcript
from sessionscribe.runtime import job

task, made = snakemake.params.task, dict(snakemake.output.items())
with job(snakemake.rule, task, log=snakemake.log[0], outputs=made, inputs=task["chunks"]) as say:
    merged = merge_transcript(
        timeline=Timeline.read(Path(snakemake.input.timeline)),
        plans=[Plan.read(Path(path)) for path in task["plans"]],
        chunks=[ChunkTranscript.read(Path(path)) for path in task["chunks"]],
        options=Merge(**task["options"]),
        output=Path(made["merged"]),
    )
    say(f"{merged.chunks} chunks, {len(merged.segments)} segments, {len(merged.dropped)} words dropped")
