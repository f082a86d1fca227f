"""Rule merge_transcript: see rules/merge.smk."""

from pathlib import Path

from sessionscribe.artifacts import ChunkTranscript, Plan, Timeline
from sessionscribe.chunk import chunk_files
from sessionscribe.config import Merge
from sessionscribe.merge import merge_transcript
from sessionscribe.runtime import job
from sessionscribe.settings_files import read_settings

settings, made = read_settings(snakemake.input.settings), dict(snakemake.output.items())
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made) as say:
    plans = Plan.read_all(snakemake.input.plans)
    say.inputs = chunk_files(plans, Path(settings["chunks"]))
    merged = merge_transcript(
        timeline=Timeline.read(Path(snakemake.input.timeline)),
        plans=plans,
        chunks=ChunkTranscript.read_all(say.inputs),
        options=Merge(**settings["options"]),
        output=Path(made["merged"]),
    )
    say(f"{merged.chunks} chunks, {len(merged.segments)} segments, {len(merged.dropped)} words dropped")
