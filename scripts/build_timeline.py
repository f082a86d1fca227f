"""Rule build_timeline: see rules/chunk.smk."""

from pathlib import Path

from sessionscribe.artifacts.recording import Conversion
from sessionscribe.jobs.job import job
from sessionscribe.planning.results import read_settings
from sessionscribe.stages.chunk.chunk import build_timeline

settings, made = read_settings(snakemake.input.settings), dict(snakemake.output.items())
with job(snakemake.rule, settings, log=snakemake.log[0], outputs=made) as say:
    timeline = build_timeline(
        session=settings["session"],
        layout=settings["layout"],
        conversions=Conversion.read_all(snakemake.input.conversions),
        parts=settings["parts"],
        speakers=settings["speakers"],
        headers=settings.get("headers"),
        output=Path(made["timeline"]),
    )
    for gap in timeline.gaps:
        say(f"missing audio: {gap.reason}")
