"""Rule transcribe_chunk: see rules/transcribe.smk."""

from pathlib import Path

from sessionscribe.artifacts.chunk_transcript import Language
from sessionscribe.artifacts.plan import ChunkPlan
from sessionscribe.config.settings import Transcribe
from sessionscribe.jobs.job import job
from sessionscribe.stages.transcribe.transcribe import transcribe_chunk

settings, made = snakemake.params.settings, dict(snakemake.output.items())
queued_s = getattr(snakemake, "queued_s", 0.0)  # set by workers only
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made, queued_s=queued_s) as say:
    found = transcribe_chunk(
        audio=Path(snakemake.input.audio),
        plan=ChunkPlan.read(Path(snakemake.input.plan)),
        index=settings["index"],
        language=Language.read(Path(snakemake.input.language)).language,
        options=Transcribe(**settings["options"]),
        threads=snakemake.resources.cpus_per_task,
        output=Path(made["transcript"]),
    )
    say(f"{len(found.segments)} segments, {len(found.removed)} removed, by {found.engine.model}")
