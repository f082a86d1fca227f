"""Rule convert_audio: see rules/convert.smk."""

from pathlib import Path

from sessionscribe.artifacts import Ingest
from sessionscribe.config import Convert
from sessionscribe.convert import convert_audio
from sessionscribe.runtime import job

task, made = snakemake.params.task, dict(snakemake.output.items())
with job(snakemake.rule, task, log=snakemake.log[0], outputs=made) as say:
    conversion = convert_audio(
        ingest=Ingest.read(Path(task["ingest"])),
        options=Convert(**task["options"]),
        audio=Path(made["audio"]),
        record=Path(made["record"]),
        log=say,
    )
    say.flags += conversion.warnings
