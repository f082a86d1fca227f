"""Rule convert_audio: see rules/convert.smk."""

from pathlib import Path

from sessionscribe import config
from sessionscribe.artifacts import Ingest
from sessionscribe.convert import convert_audio
from sessionscribe.ingest import opened
from sessionscribe.runtime import job
from sessionscribe.settings_files import read_settings

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
