"""Rule write_export: see rules/export.smk."""

from pathlib import Path

from sessionscribe.artifacts.audit import Audit
from sessionscribe.artifacts.plan import Waveform
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import Export
from sessionscribe.jobs.job import job
from sessionscribe.planning.results import read_settings
from sessionscribe.stages.export.export import write_export

settings = read_settings(snakemake.input.settings)
exports = dict(zip(snakemake.params.formats, snakemake.output.exports, strict=True))
made = {**exports, "provenance": snakemake.output.provenance}
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made) as say:
    transcript, options = Transcript.read(Path(snakemake.input.transcript)), Export(**settings["options"])
    audit = next((Audit.read(Path(path)) for path in snakemake.input.audit), None)
    waveform = next((Waveform.read(Path(path)) for path in snakemake.input.waveform), None)
    more = {"options": options, "audit": audit, "waveform": waveform}
    for format, path in exports.items():
        write_export(transcript=transcript, format=format, output=Path(path), **more)
    say(f"written as {', '.join(exports)}")
