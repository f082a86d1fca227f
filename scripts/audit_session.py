"""Rule audit_session: see rules/audit.smk."""

from pathlib import Path

from sessionscribe.artifacts.chunk_transcript import ChunkTranscript, Language
from sessionscribe.artifacts.merged import Merged
from sessionscribe.artifacts.plan import Plan, Timeline
from sessionscribe.artifacts.recording import Conversion
from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.config.settings import Audit
from sessionscribe.jobs.job import job
from sessionscribe.planning.settings_files import read_settings
from sessionscribe.stages.audit.audit import Evidence, audit_session
from sessionscribe.stages.chunk.chunk import chunk_files

settings, made = read_settings(snakemake.input.settings), dict(snakemake.output.items())
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made) as say:
    evidence = Evidence(
        timeline=Timeline.read(Path(snakemake.input.timeline)),
        conversions=Conversion.read_all(snakemake.input.conversions),
        plans=(plans := Plan.read_all(snakemake.input.plans)),
        chunks=ChunkTranscript.read_all(chunk_files(plans, Path(settings["chunks"]))),
        language=Language.read(Path(snakemake.input.language)),
        merged=Merged.read(Path(snakemake.input.merged)),
        transcript=Transcript.read(Path(snakemake.input.transcript)),
    )
    audit = audit_session(evidence, options=Audit(**settings["options"]), output=Path(made["audit"]))
    say.flags, say.verdict = [*audit.problems, *audit.flags], audit.verdict
    say("; ".join([audit.verdict, *say.flags]))
