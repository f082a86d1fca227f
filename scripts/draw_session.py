"""Rule draw_session: see rules/report.smk."""

from pathlib import Path

from sessionscribe.artifacts.transcript import Transcript
from sessionscribe.formats.pictures import PICTURES
from sessionscribe.jobs.job import job
from sessionscribe.runners.evidence import evidence_of
from sessionscribe.stages.report.report import draw_session

made = {name: Path(path) for name, path in snakemake.output.items()}
settings = {"session": snakemake.wildcards.session}
with job(snakemake.rule, settings, log=snakemake.log[0], outputs={}, usage=False):
    (evidence,) = evidence_of([snakemake.input.audit])
    draw_session(
        transcript=Transcript.read(Path(snakemake.input.transcript)),
        evidence=evidence,
        pictures={name: made[name] for name in PICTURES},
        audit=made["audit"],
        cost=made["cost"],
    )
