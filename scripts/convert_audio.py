"""Rule convert_audio: see rules/convert.smk."""

from pathlib import Path

from sessionscribe.artifacts.recording import Ingest
from sessionscribe.config import settings as config
from sessionscribe.jobs.job import job
from sessionscribe.planning.results import read_settings
from sessionscribe.stages.convert.convert import convert_audio

settings, made = read_settings(snakemake.input.settings), dict(snakemake.output.items())
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made) as say:
    reading, header = dict(snakemake.params.machine), settings.get("header")
    conversion = convert_audio(
        ingest=Ingest.read(Path(snakemake.input.ingest)),
        options=config.Convert(**settings["options"]),
        audio=Path(made["audio"]),
        record=Path(made["record"]),
        live=reading.pop("live"),
        reading=config.Ingest(**reading),
        header=header and (header["source"], header["checksum"]),
        log=say,
    )
    say.flags += conversion.warnings
