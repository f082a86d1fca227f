"""Rule convert_audio: see rules/convert.smk."""

from pathlib import Path

from sessionscribe.artifacts.recording import Ingest
from sessionscribe.jobs.job import job
from sessionscribe.planning.settings_files import read_settings
from sessionscribe.stages.convert.convert import convert_fetched

settings, made = read_settings(snakemake.input.settings), dict(snakemake.output.items())
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made) as say:
    conversion = convert_fetched(
        ingest=Ingest.read(Path(snakemake.input.ingest)),
        told=settings,
        reading=snakemake.params.machine,
        audio=Path(made["audio"]),
        record=Path(made["record"]),
        log=say,
    )
    say.flags += conversion.warnings
