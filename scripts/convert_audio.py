"""Rule convert_audio: see rules/convert.smk."""

from pathlib import Path

from sessionscribe.artifacts.recording import Ingest
from sessionscribe.config import settings as config
from sessionscribe.jobs.job import job
from sessionscribe.planning.settings_files import read_settings
from sessionscribe.stages.convert.convert import convert_audio
from sessionscribe.stages.ingest.ingest import opened

settings, made = read_settings(snakemake.input.settings), dict(snakemake.output.items())
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made) as say:
    ingest = Ingest.read(Path(snakemake.input.ingest))
    with opened(ingest.source, ingest.checksum, config.Ingest(**snakemake.params.machine), say) as source:
        conversion = convert_audio(
            ingest=ingest,
            options=config.Convert(**settings["options"]),
            audio=Path(made["audio"]),
            record=Path(made["record"]),
            source=source,
            log=say,
        )
    say.flags += conversion.warnings
