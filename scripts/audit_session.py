"""Rule audit_session: see rules/audit.smk."""

from pathlib import Path

from sessionscribe.artifacts import ChunkTranscript, Conversion, Language, Merged, Plan, Timeline, Transcript
from sessionscribe.audit import Evidence, audit_session
from sessionscribe.config import Audit
from sessionscribe.runtime import job

task, made = snakemake.params.task, dict(snakemake.output.items())
with job(snakemake.rule, task, log=snakemake.log[0], outputs=made) as say:
    evidence = Evidence(
        timeline=Timeline.read(Path(snakemake.input.timeline)),
        conversions=[Conversion.read(Path(path)) for path in task["conversions"]],
        plans=[Plan.read(Path(path)) for path in task["plans"]],
        chunks=[ChunkTranscript.read(Path(path)) for path in task["chunks"]],
        language=Language.read(Path(task["language"][0])),
        merged=Merged.read(Path(snakemake.input.merged)),
        transcript=Transcript.read(Path(snakemake.input.transcript)),
    )
    audit = audit_session(evidence, options=Audit(**task["options"]), output=Path(made["audit"]))
    say.flags += [*audit.problems, *audit.flags]
    say.verdict = audit.verdict
    say("; ".join([audit.verdict, *audit.problems, *audit.flags]))
