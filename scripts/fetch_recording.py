"""Rule fetch_recording: see rules/ingest.smk."""

from pathlib import Path

from sessionscribe.config import settings as config
from sessionscribe.core.errors import UserError
from sessionscribe.jobs.job import job
from sessionscribe.planning.results import read_settings
from sessionscribe.stages.ingest.ingest import fetch_recording

settings, made = read_settings(snakemake.input.settings), dict(snakemake.output.items())
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made) as say:
    if settings["problem"]:
        raise UserError(
            settings["problem"], where=settings["session"], hint="Correct the manifest and run again"
        )
    reading = dict(snakemake.params.machine)
    fetch_recording(
        **{k: settings[k] for k in ("session", "track", "source", "checksum", "duration_s")},
        live=reading.pop("live"),
        reading=config.Ingest(**reading),
        output=Path(made["ingest"]),
        log=say,
    )
