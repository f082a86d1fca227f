"""Rule list_sessions: see rules/report.smk."""

from pathlib import Path

from sessionscribe.jobs.job import job
from sessionscribe.runners.evidence import evidence_of
from sessionscribe.stages.report.report import list_sessions

with job(snakemake.rule, {"session": "report"}, log=snakemake.log[0], outputs={}, usage=False):
    list_sessions(sessions=evidence_of(snakemake.input.audits), output=Path(snakemake.output[0]))
