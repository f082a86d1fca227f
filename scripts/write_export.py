"""Rule write_export: see rules/export.smk."""

from pathlib import Path

from sessionscribe.artifacts import Transcript
from sessionscribe.config import Export
from sessionscribe.export import write_export
from sessionscribe.runtime import job

task, made = snakemake.params.task, dict(snakemake.output.items())
with job(snakemake.rule, task, log=snakemake.log[0], outputs=made) as say:
    write_export(
        transcript=Transcript.read(Path(snakemake.input.transcript)),
        format=task["format"],
        options=Export(**task["options"]),
        output=Path(made["export"]),
    )
