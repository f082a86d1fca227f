"""Rule write_export: see rules/export.smk."""

from pathlib import Path

from sessionscribe.artifacts.audit import Audit
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import Export
from sessionscribe.jobs.job import job
from sessionscribe.planning.settings_files import read_settings
from sessionscribe.stages.export.export import write_export

settings = read_settings(snakemake.input.settings)
exports = dict(zip(snakemake.params.formats, snakemake.output.exports, strict=True))
made = {**exports, "provenance": snakemake.output.provenance}
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made) as say:
    transcript, options = Transcript.read(Path(snakemake.input.transcript)), Export(**settings["options"])
    audit = next((Audit.read(Path(path)) for path in snakemake.input.audit), None)
    for format, path in exports.items():
        write_export(transcript=transcript, format=format, options=options, output=Path(path), audit=audit)
    say(f"written as {', '.join(exports)}")
