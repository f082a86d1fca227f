"""Rule detect_language: see rules/transcribe.smk."""

from pathlib import Path

from sessionscribe.artifacts.plan import ChunkPlan
from sessionscribe.config.settings import Transcribe
from sessionscribe.jobs.job import job
from sessionscribe.stages.transcribe.transcribe import detect_language

settings, made = snakemake.params.settings, dict(snakemake.output.items())
queued_s = getattr(snakemake, "queued_s", 0.0)  # set by workers only
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made, queued_s=queued_s) as say:
    found = detect_language(
        plans=ChunkPlan.read_all(snakemake.input.plans),
        audio=[Path(path) for path in snakemake.input.audio],
        session=settings["session"],
        options=Transcribe(**settings["options"]),
        threads=snakemake.resources.cpus_per_task,
        output=Path(made["language"]),
    )
    say(f"language {found.language}, probability {found.probability:.2f}, {len(found.votes)} votes")
