"""Rule embed_chunk: see rules/diarize.smk."""

from pathlib import Path

from sessionscribe.artifacts.plan import Timeline
from sessionscribe.audio.sliding_window import EmbeddingChunk
from sessionscribe.config.settings import Diarize
from sessionscribe.jobs.job import job
from sessionscribe.stages.diarize.diarize import embed_chunk

settings, made = snakemake.params.settings, dict(snakemake.output.items())
queued_s = getattr(snakemake, "queued_s", 0.0)  # set by workers only
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made, queued_s=queued_s) as say:
    found = embed_chunk(
        timeline=Timeline.read(Path(snakemake.input.timeline)),
        stretch=EmbeddingChunk(**settings["stretch"] | {"tracks": tuple(settings["stretch"]["tracks"])}),
        audio=[Path(path) for path in snakemake.input.audio],
        options=Diarize(**settings["options"]),
        output=Path(made["embeddings"]),
    )
    say(f"{found.about.windows} windows from number {found.about.first}, by {found.about.model}")
