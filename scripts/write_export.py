"""Rule write_export: see rules/export.smk."""

from pathlib import Path

from sessionscribe.artifacts import Transcript
from sessionscribe.artifacts_audit import Audit
from sessionscribe.config import Export
from sessionscribe.export import write_export
from sessionscribe.runtime import job

task = snakemake.params.task
exports = dict(zip(task["formats"], snakemake.output.exports, strict=True))
made = {**exports, "provenance": snakemake.output.provenance}
with job(snakemake.rule, task, log=snakemake.log[0], outputs=made) as say:
    transcript, options = Transcript.read(Path(task["transcript"][0])), Export(**task["options"])
    audit = Audit.read(Path(task["audit"][0])) if task["audit"] else None
    for format, path in exports.items():
        write_export(transcript=transcript, format=format, options=options, output=Path(path), audit=audit)
    say(f"written as {', '.join(exports)}")
