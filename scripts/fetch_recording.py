"""Rule fetch_recording: see rules/ingest.smk."""

from pathlib import Path

from sessionscribe import config
from sessionscribe.errors import UserError
from sessionscribe.ingest import fetch_recording
from sessionscribe.runtime import job

task, made = snakemake.params.task, dict(snakemake.output.items())
with job(snakemake.rule, task, log=snakemake.log[0], outputs=made) as say:
    if task["problem"]:
        raise UserError(task["problem"], where=task["session"], hint="Correct the manifest and run again")
    fetch_recording(
        **{k: task[k] for k in ("session", "track", "source", "checksum", "duration_s")},
        reading=config.Ingest(**task["reading"]),
        output=Path(made["ingest"]),
        log=say,
    )
