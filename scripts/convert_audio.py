"""Rule convert_audio: see rules/convert.smk."""

from pathlib import Path

from sessionscribe import config
from sessionscribe.artifacts import Ingest
from sessionscribe.convert import convert_audio
from sessionscribe.ingest import opened
from sessionscribe.runtime import job

task, made = snakemake.params.task, dict(snakemake.output.items())
with job(snakemake.rule, task, log=snakemake.log[0], outputs=made) as say:
    ingest = Ingest.read(Path(task["ingest"]))
    with opened(ingest.source, ingest.checksum, config.Ingest(**task["reading"]), say) as source:
        conversion = convert_audio(
            ingest=ingest,
            options=config.Convert(**task["options"]),
            audio=Path(made["audio"]),
            record=Path(made["record"]),
            source=source,
            log=say,
        )
    say.flags += conversion.warnings
