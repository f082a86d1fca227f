"""Rule audit_session: see rules/audit.smk."""

from pathlib import Path

from sessionscribe.config.settings import Audit
from sessionscribe.jobs.job import job
from sessionscribe.planning.results import read_settings
from sessionscribe.stages.audit.audit import AuditInputs, audit_session

settings, made = read_settings(snakemake.input.settings), dict(snakemake.output.items())
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made) as say:
    evidence = AuditInputs.read(dict(snakemake.input.items()), chunks=Path(settings["chunks"]))
    audit = audit_session(evidence, options=Audit(**settings["options"]), output=Path(made["audit"]))
    say.flags, say.verdict = [*audit.problems, *audit.flags], audit.verdict
    say("; ".join([audit.verdict, *say.flags]))
